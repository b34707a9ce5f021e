"""RFC 5322 duties shared by exits and clients.  Pure: octets come in, octets go out."""
