"""A facade over the libraries: octets go in, octets come out, no library object leaks."""
