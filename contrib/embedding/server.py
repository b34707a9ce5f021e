"""A mix server beside other services in one program: server.py CONFIG"""

import sys

from twisted.application.internet import TimerService
from twisted.application.service import MultiService
from twisted.internet import reactor

from mixminion.app import server

options = server.Options()
options.parseOptions(["--config", sys.argv[1]])
everything = MultiService()
server.makeService(options).setServiceParent(everything)  # checks all that can be fatal
TimerService(1, print, "something else", flush=True).setServiceParent(everything)
everything.privilegedStartService()
everything.startService()
reactor.addSystemEventTrigger("before", "shutdown", everything.stopService)
reactor.run()
