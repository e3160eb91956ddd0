"""Adds accounts, one JSON object a line, in one transaction through Samba's own modules: some hundred a second.

load.py CONF SAM_LDB
"""

import json
import sys

from samba.auth import system_session
from samba.param import LoadParm
from samba.samdb import SamDB

conf, path = sys.argv[1:]
parameters = LoadParm()
parameters.load(conf)
database = SamDB(url=path, session_info=system_session(), lp=parameters, options=["batch_mode:1"])
database.transaction_start()
for line in sys.stdin:
    database.add(json.loads(line))
database.transaction_commit()
