"""What a packet carries.  doc/spec/payload.rst fixes every octet."""
