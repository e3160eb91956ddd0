"""Provisions an Active Directory domain into the folders that an smb.conf names.

Arguments: the smb.conf, realm, NetBIOS name, host name, address, Administrator's password. Uses Samba's library rather than
samba-tool because only the library can leave the SYSVOL ACLs out, which need extended attributes that a container or a
plain folder in /tmp may not have. Prints the SID of the domain.
"""

import logging
import sys

import samba.getopt  # noqa: F401  (sets up what the library expects of a command)
from samba.auth import system_session
from samba.dsdb import DS_DOMAIN_FUNCTION_2008_R2
from samba.param import LoadParm
from samba.provision import provision

conf, realm, domain, hostname, address, password = sys.argv[1:7]
logging.basicConfig(stream=sys.stderr, level=logging.WARNING)
parameters = LoadParm()
parameters.load(conf)
result = provision(
    logging.getLogger("provision"),
    session_info=system_session(),
    smbconf=conf,
    lp=parameters,
    realm=realm,
    domain=domain,
    hostname=hostname,
    hostip=address,
    adminpass=password,
    serverrole="active directory domain controller",
    dns_backend="NONE",
    dom_for_fun_level=DS_DOMAIN_FUNCTION_2008_R2,
    base_schema="2012_R2",
    useeadb=True,
    use_rfc2307=False,
    skip_sysvolacl=True,
    backend_store="mdb",
    backend_store_size=1 << 30,
)
print(result.domainsid)
