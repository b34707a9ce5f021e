from mixminion.config import BadValue
from mixminion.directory.bootstrap import LIMIT, Authority, Bootstrap, authority
from mixminion.directory.errors import BadBootstrap
from mixminion.errors import render
from mixminion.testing.cases import SyncTestCase
from tests.directory.network import authorities

KEYS = [key.hex() for key in authorities(3)[1]]
TEXT = f"""\
# Compare the keys with those on our cards.
[Network]
name = example net

[Authority moria]
identity = {KEYS[0]}
url = http://192.0.2.1:8080/

[Authority tor26]
identity = {KEYS[1]}
url = https://dir.example.net

[Authority gabelmoo]
identity = {KEYS[2]}

[Sources]
urls =
  https://198.51.100.7:48099/
  http://192.0.2.1:8080
"""


def read(text: str) -> Bootstrap:
    return Bootstrap.read(text.encode(), "net.conf")


class BootstrapTests(SyncTestCase):
    """Whom a network's file says to believe."""

    def test_read(self):
        """Name, authorities in the order of the file, and every source once."""
        found = read(TEXT)
        self.assertEqual(found.name, "example net")
        self.assertEqual(
            found.authorities,
            (
                Authority(bytes.fromhex(KEYS[0]), "moria", "http://192.0.2.1:8080/"),
                Authority(bytes.fromhex(KEYS[1]), "tor26", "https://dir.example.net:443/"),
                Authority(bytes.fromhex(KEYS[2]), "gabelmoo"),
            ),
        )
        self.assertEqual(
            found.sources,
            (
                "http://192.0.2.1:8080/",
                "https://dir.example.net:443/",
                "https://198.51.100.7:48099/",
            ),
        )
        self.assertEqual(found.needed, 2)

    def test_written(self):
        """What is written is read again."""
        found = read(TEXT)
        self.assertEqual(read(found.text()), found)
        alone = Bootstrap("x", found.authorities[:1])
        self.assertEqual(read(alone.text()), alone)

    def test_fingerprint(self):
        """The whole key, in groups that people can compare."""
        fingerprint = read(TEXT).authorities[0].fingerprint
        self.assertEqual(fingerprint.replace(" ", ""), KEYS[0])
        self.assertEqual([len(group) for group in fingerprint.split(" ")], [8] * 8)

    def test_wrong(self):
        """Each mistake with its line, and all of them at once."""
        for text, said in (
            ("", "net.conf: [Network] name: is missing"),
            ("[Network]\nname = x\n", "net.conf:1: [Network]: expected an [Authority NICKNAME]"),
            (TEXT.replace(KEYS[1], KEYS[0]), ":10: [Authority tor26] identity: moria has"),
            (TEXT.replace("gabelmoo", "TOR26"), ":13: [Authority TOR26]: tor26 has this nickname"),
            (TEXT.replace("gabelmoo", "1up"), ":13: [Authority 1up]: expected a nickname"),
            (TEXT.replace("[Authority tor26]", "[Authority]"), "this section needs a name"),
            (TEXT.replace(KEYS[0], KEYS[0][1:]), ":6: [Authority moria] identity: expected a publ"),
            (TEXT.replace("http:", "ftp:"), ":7: [Authority moria] url: expected http://HOST"),
            (TEXT.replace(":8080/", ":0/"), ":7: [Authority moria] url: expected http://HOST"),
            (TEXT.replace("name =", "format = 2\nname ="), ":3: [Network] format: expected"),
            (TEXT + "[Client]\nhome = x\n", "unknown section"),
            (TEXT + "proxy = x\n", "unknown key"),
            (
                f"[Network]\nname = x\n[Authority a]\nidentity = {KEYS[0]}\n",
                ":1: [Network]: expected the url of an authority, or [Sources] urls",
            ),
        ):
            with self.subTest(said):
                error = self.assertRaises(BadBootstrap, read, text)
                self.assertIn(said, render(error))
                self.assertEqual(error.exit_code, 65)
        both = TEXT.replace("http:", "ftp:").replace(KEYS[2], "x")
        self.assertEqual(
            len(self.assertRaises(BadBootstrap, read, both).fields["listing"].splitlines()), 3
        )

    def test_no_text(self):
        """Something else than a short text."""
        for octets, said in ((b"\xff", "not text"), (b"#" * (LIMIT + 1), "longer than")):
            error = self.assertRaises(BadBootstrap, Bootstrap.read, octets, "http://x/")
            self.assertIn(said, render(error))

    def test_many(self):
        """More authorities than an envelope has room for."""
        blocks = [f"[Authority a{i}]\nidentity = {i:064x}\n" for i in range(65)]
        error = self.assertRaises(
            BadBootstrap,
            read,
            "[Network]\nname = x\n" + "".join(blocks) + "[Sources]\nurls =\n http://x/",
        )
        self.assertIn("[Authority a64]: expected at most 64", render(error))


class AuthorityTests(SyncTestCase):
    """An authority on one line of a configuration."""

    def test_read(self):
        """The key, with or without what it is called and where it is."""
        key = bytes.fromhex(KEYS[0])
        for text, found in (
            (KEYS[0], Authority(key)),
            (f"moria \t{KEYS[0].upper()}", Authority(key, "moria")),
            (f"{KEYS[0]} http://[::1]:8080", Authority(key, "", "http://[::1]:8080/")),
            (
                f"moria {KEYS[0]} https://h.example/",
                Authority(key, "moria", "https://h.example:443/"),
            ),
        ):
            self.assertEqual(authority.read(text), found)
            self.assertEqual(authority.read(authority.render(found)), found)

    def test_wrong(self):
        """Anything else."""
        for text in (
            "",
            "moria",
            f"a b {KEYS[0]}",
            f"1up {KEYS[0]}",
            "http://h/",
            f"moria http://h/ {KEYS[0]}",
            f"{KEYS[0]} ftp://h/",
            f"{KEYS[0]} {KEYS[1]}",
        ):
            self.assertRaises(BadValue, authority.read, text)
