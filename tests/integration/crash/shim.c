/*
 * A disk that forgets what was not synced, to be preloaded.
 *
 * Files below DISK_ROOT behave as ever.  Beside them DISK_SHADOW is kept, where only what
 * has been synced arrives, as a disk has it after a power loss:
 *
 *   objects/INODE   the content of a file: what fsync, fdatasync, msync or a descriptor
 *                   with O_DSYNC has written
 *   tree/PATH       a hard link to such an object: the name, once its folder was synced
 *
 * A file that was synced and whose folder was not has no name after a power loss; a file
 * that was renamed has its old one until the folder is synced.  With DISK_SWALLOW set,
 * syncing says yes and does nothing.
 *
 * The shadow is written after the disk: a process that is killed between the two was killed
 * before the call returned.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define REAL(type, name, ...) \
    static type (*real)(__VA_ARGS__); \
    if (!real) real = (type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

struct range { off_t from, to; };

struct file {
    ino_t inode;
    off_t kept;                 /* the shortest it has been since it was last synced */
    struct range *dirty;
    size_t count, room;
    struct file *next;
};

struct mapping {
    char *start;
    size_t length;
    ino_t inode;
    off_t offset;
    struct mapping *next;
};

enum { PLACE = 2 * PATH_MAX };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct file *files;
static struct mapping *mappings;
static const char *root, *shadow;
static int swallow;

static int (*open_file)(const char *, int, ...);
static ssize_t (*write_at)(int, const void *, size_t, off_t);
static int (*cut)(int, off_t);

/* Another thread may hold the lock when a process forks. */
static void unlocked(void) {
    pthread_mutex_init(&lock, NULL);
}

__attribute__((constructor)) static void begin(void) {
    open_file = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, "open");
    write_at = (ssize_t (*)(int, const void *, size_t, off_t))dlsym(RTLD_NEXT, "pwrite");
    cut = (int (*)(int, off_t))dlsym(RTLD_NEXT, "ftruncate");
    root = getenv("DISK_ROOT");
    shadow = getenv("DISK_SHADOW");
    swallow = getenv("DISK_SWALLOW") != NULL;
    if (!root || !shadow) root = NULL;
    pthread_atfork(NULL, NULL, unlocked);
}

static void broken(const char *what) {
    fprintf(stderr, "the shadow of the disk cannot be kept (%s): %s\n", what, strerror(errno));
    abort();
}

/* Where an open descriptor is, relative to the root; NULL when it is not below it. */
static const char *place(int fd, char *path) {
    char link[64];
    size_t length = strlen(root);
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t got = readlink(link, path, PATH_MAX - 1);
    if (got <= 0) return NULL;
    path[got] = 0;
    if (strncmp(path, root, length) || (path[length] && path[length] != '/')) return NULL;
    return path[length] ? path + length + 1 : path + length;
}

static void object_of(ino_t inode, char *path) {
    snprintf(path, PATH_MAX, "%s/objects/%llu", shadow, (unsigned long long)inode);
}

static struct file *known(ino_t inode) {
    struct file *file = files;
    while (file && file->inode != inode) file = file->next;
    return file;
}

static struct file *known_fd(int fd) {
    struct stat found;
    if (!files || fstat(fd, &found) || !S_ISREG(found.st_mode)) return NULL;
    return known(found.st_ino);
}

static void mark(struct file *file, off_t from, off_t to) {
    struct range *last = file->count ? &file->dirty[file->count - 1] : NULL;
    if (last && from <= last->to && from >= last->from) {
        if (to > last->to) last->to = to;
        return;
    }
    if (file->count == file->room) {
        file->room = file->room ? 2 * file->room : 64;
        file->dirty = realloc(file->dirty, file->room * sizeof *file->dirty);
        if (!file->dirty) broken("memory");
    }
    file->dirty[file->count++] = (struct range){from, to};
}

static void copy(int source, int object, off_t from, off_t to) {
    static char buffer[1 << 18];
    while (from < to) {
        size_t want = to - from < (off_t)sizeof buffer ? (size_t)(to - from) : sizeof buffer;
        ssize_t got = pread(source, buffer, want, from);
        if (got < 0) broken("read");
        if (got == 0) return;
        if (write_at(object, buffer, got, from) != got) broken("write");
        from += got;
    }
}

/* Let what was written arrive; *only* is the one range that has, NULL when everything has. */
static void sync_file(int fd, struct file *file, const struct range *only) {
    char path[PATH_MAX];
    struct stat found;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int source = open_file(path, O_RDONLY | O_CLOEXEC);
    object_of(file->inode, path);
    int object = open_file(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (source < 0 || object < 0 || fstat(source, &found)) broken(path);
    if (only) {
        copy(source, object, only->from, only->to);
    } else {
        struct stat now;
        if (fstat(object, &now)) broken(path);
        if (file->kept < now.st_size && cut(object, file->kept)) broken(path);
        for (size_t n = 0; n < file->count; n++)
            copy(source, object, file->dirty[n].from, file->dirty[n].to);
        if (cut(object, found.st_size)) broken(path);
        file->count = 0;
        file->kept = found.st_size;
    }
    close(source);
    close(object);
}

/* Let the names in a folder arrive. */
static void sync_folder(const char *folder, const char *below) {
    char from[PLACE], to[PLACE], object[2 * PLACE], fresh[PLACE];
    struct stat found, had;
    struct dirent *entry;
    snprintf(fresh, sizeof fresh, "%s/fresh.%d", shadow, (int)getpid());
    DIR *listing = opendir(folder);
    if (!listing) return;
    while ((entry = readdir(listing))) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
        snprintf(from, sizeof from, "%s/%s", folder, entry->d_name);
        snprintf(to, sizeof to, "%s/tree/%s/%s", shadow, below, entry->d_name);
        if (lstat(from, &found)) continue;
        if (S_ISDIR(found.st_mode)) mkdir(to, found.st_mode & 07777);
        if (!S_ISREG(found.st_mode)) continue;
        object_of(found.st_ino, object);
        int made = open_file(object, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        if (made < 0) broken(object);
        close(made);
        if (!stat(object, &found) && !lstat(to, &had) && found.st_ino == had.st_ino) continue;
        unlink(fresh);
        if (link(object, fresh) || rename(fresh, to)) broken(to);
    }
    closedir(listing);
    snprintf(to, sizeof to, "%s/tree/%s", shadow, below);
    listing = opendir(to);
    if (!listing) return;
    while ((entry = readdir(listing))) {
        snprintf(from, sizeof from, "%s/%s", folder, entry->d_name);
        snprintf(object, sizeof object, "%s/%s", to, entry->d_name);
        if (lstat(from, &found) && errno == ENOENT) unlink(object);
    }
    closedir(listing);
}

static int synced(int fd) {
    char path[PATH_MAX];
    struct stat found;
    if (!root || swallow || fstat(fd, &found)) return 0;
    pthread_mutex_lock(&lock);
    if (S_ISDIR(found.st_mode)) {
        const char *below = place(fd, path);
        if (below) sync_folder(path, below);
    } else if (S_ISREG(found.st_mode)) {
        struct file *file = known(found.st_ino);
        if (file) sync_file(fd, file, NULL);
    }
    pthread_mutex_unlock(&lock);
    return 0;
}

static void wrote(int fd, off_t from, ssize_t length) {
    if (!root || length <= 0) return;
    int saved = errno;
    pthread_mutex_lock(&lock);
    struct file *file = known_fd(fd);
    if (file) {
        struct range range = {from, from + length};
        if ((fcntl(fd, F_GETFL) & O_DSYNC) && !swallow)
            sync_file(fd, file, &range);
        else
            mark(file, range.from, range.to);
    }
    pthread_mutex_unlock(&lock);
    errno = saved;
}

static void opened(int fd, int flags, int fresh) {
    char path[PATH_MAX], object[PATH_MAX];
    struct stat found;
    int saved = errno;
    if (!root || fd < 0 || (flags & O_ACCMODE) == O_RDONLY) return;
    if (fstat(fd, &found) || !S_ISREG(found.st_mode) || !place(fd, path)) {
        errno = saved;
        return;
    }
    pthread_mutex_lock(&lock);
    struct file *file = known(found.st_ino);
    if (fresh) {  /* an inode may have belonged to another file before */
        object_of(found.st_ino, object);
        unlink(object);
    }
    if (!file) {
        file = calloc(1, sizeof *file);
        if (!file) broken("memory");
        file->inode = found.st_ino;
        file->kept = found.st_size;
        file->next = files;
        files = file;
    }
    if (fresh) file->count = 0;
    if (fresh || flags & O_TRUNC) file->kept = 0;
    pthread_mutex_unlock(&lock);
    errno = saved;
}

static off_t position(int fd) {
    if (!root || !files) return 0;
    int saved = errno;
    off_t at;
    struct stat found;
    if (fcntl(fd, F_GETFL) & O_APPEND)
        at = fstat(fd, &found) ? 0 : found.st_size;
    else
        at = lseek(fd, 0, SEEK_CUR);
    errno = saved;
    return at;
}

/* -- what is intercepted ------------------------------------------------------------- */

#define OPENED(call) \
    mode_t mode = 0; \
    if (flags & (O_CREAT | __O_TMPFILE)) { \
        va_list rest; \
        va_start(rest, flags); \
        mode = va_arg(rest, mode_t); \
        va_end(rest); \
    } \
    int before = errno; \
    int fresh = root && flags & O_CREAT && faccessat(folder, path, F_OK, 0); \
    errno = before; \
    int fd = call; \
    opened(fd, flags, fresh); \
    return fd

int open(const char *path, int flags, ...) {
    REAL(int, "open", const char *, int, ...);
    int folder = AT_FDCWD;
    OPENED(real(path, flags, mode));
}

int open64(const char *path, int flags, ...) {
    REAL(int, "open64", const char *, int, ...);
    int folder = AT_FDCWD;
    OPENED(real(path, flags, mode));
}

int openat(int folder, const char *path, int flags, ...) {
    REAL(int, "openat", int, const char *, int, ...);
    OPENED(real(folder, path, flags, mode));
}

int openat64(int folder, const char *path, int flags, ...) {
    REAL(int, "openat64", int, const char *, int, ...);
    OPENED(real(folder, path, flags, mode));
}

ssize_t write(int fd, const void *octets, size_t length) {
    REAL(ssize_t, "write", int, const void *, size_t);
    off_t at = position(fd);
    ssize_t done = real(fd, octets, length);
    wrote(fd, at, done);
    return done;
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    REAL(ssize_t, "writev", int, const struct iovec *, int);
    off_t at = position(fd);
    ssize_t done = real(fd, parts, count);
    wrote(fd, at, done);
    return done;
}

#define AT(name, type, ...) \
    ssize_t name(int fd, type, off_t at) { \
        static ssize_t (*real)(int, __VA_ARGS__, off_t); \
        if (!real) real = (ssize_t (*)(int, __VA_ARGS__, off_t))dlsym(RTLD_NEXT, #name); \
        ssize_t done = real(fd, octets, length, at); \
        wrote(fd, at, done); \
        return done; \
    }
#define COMMA ,

AT(pwrite, const void *octets COMMA size_t length, const void *, size_t)
AT(pwrite64, const void *octets COMMA size_t length, const void *, size_t)
AT(pwritev, const struct iovec *octets COMMA int length, const struct iovec *, int)
AT(pwritev64, const struct iovec *octets COMMA int length, const struct iovec *, int)

static void shortened(int fd, off_t length) {
    if (!root) return;
    pthread_mutex_lock(&lock);
    struct file *file = known_fd(fd);
    if (file && length < file->kept) file->kept = length;
    pthread_mutex_unlock(&lock);
}

int ftruncate(int fd, off_t length) {
    REAL(int, "ftruncate", int, off_t);
    int done = real(fd, length);
    if (!done) shortened(fd, length);
    return done;
}

int ftruncate64(int fd, off_t length) {
    REAL(int, "ftruncate64", int, off_t);
    int done = real(fd, length);
    if (!done) shortened(fd, length);
    return done;
}

int fsync(int fd) {
    REAL(int, "fsync", int);
    int done = swallow ? 0 : real(fd);
    return done ? done : synced(fd);
}

int fdatasync(int fd) {
    REAL(int, "fdatasync", int);
    int done = swallow ? 0 : real(fd);
    return done ? done : synced(fd);
}

static void mapped(void *start, size_t length, int protection, int flags, int fd, off_t offset) {
    if (!root || start == MAP_FAILED || fd < 0) return;
    if (!(protection & PROT_WRITE) || !(flags & MAP_SHARED)) return;
    pthread_mutex_lock(&lock);
    struct file *file = known_fd(fd);
    struct mapping *mapping = file ? calloc(1, sizeof *mapping) : NULL;
    if (mapping) {
        *mapping = (struct mapping){start, length, file->inode, offset, mappings};
        mappings = mapping;
    }
    pthread_mutex_unlock(&lock);
}

void *mmap(void *where, size_t length, int protection, int flags, int fd, off_t offset) {
    REAL(void *, "mmap", void *, size_t, int, int, int, off_t);
    void *start = real(where, length, protection, flags, fd, offset);
    mapped(start, length, protection, flags, fd, offset);
    return start;
}

void *mmap64(void *where, size_t length, int protection, int flags, int fd, off_t offset) {
    REAL(void *, "mmap64", void *, size_t, int, int, int, off_t);
    void *start = real(where, length, protection, flags, fd, offset);
    mapped(start, length, protection, flags, fd, offset);
    return start;
}

int munmap(void *start, size_t length) {
    REAL(int, "munmap", void *, size_t);
    if (root && mappings) {
        pthread_mutex_lock(&lock);
        struct mapping **at = &mappings;
        while (*at) {
            struct mapping *mapping = *at;
            if (mapping->start == start) {
                *at = mapping->next;
                free(mapping);
            } else {
                at = &mapping->next;
            }
        }
        pthread_mutex_unlock(&lock);
    }
    return real(start, length);
}

int msync(void *start, size_t length, int flags) {
    REAL(int, "msync", void *, size_t, int);
    if (swallow) return 0;
    int done = real(start, length, flags);
    if (done || !root || !(flags & MS_SYNC)) return done;
    pthread_mutex_lock(&lock);
    for (struct mapping *mapping = mappings; mapping; mapping = mapping->next) {
        char *from = start, *object_end = mapping->start + mapping->length;
        if (from < mapping->start || from >= object_end) continue;
        size_t want = from + length > object_end ? (size_t)(object_end - from) : length;
        char path[PATH_MAX];
        object_of(mapping->inode, path);
        int object = open_file(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        if (object < 0) broken(path);
        off_t at = mapping->offset + (from - mapping->start);
        if (write_at(object, from, want, at) != (ssize_t)want) broken(path);
        close(object);
    }
    pthread_mutex_unlock(&lock);
    return done;
}
