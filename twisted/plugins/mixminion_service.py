"""What ``twistd`` offers of Mixminion; each line is lazy."""

from twisted.application.service import ServiceMaker

server = ServiceMaker(
    "Mixminion server", "mixminion.app.server", "A Mixminion mix server", "mixminion"
)
authority = ServiceMaker(
    "Mixminion authority",
    "mixminion.app.authority",
    "A Mixminion directory authority",
    "mixminion-authority",
)
agent = ServiceMaker(
    "Mixminion agent", "mixminion.app.agent", "A Mixminion client that runs", "mixminion-agent"
)
