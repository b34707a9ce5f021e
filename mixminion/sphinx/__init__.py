"""The packet: made, unwrapped, answered.  doc/spec/packet.rst fixes every octet."""
