"""Provisions the lab's domain and loads the accounts that `dsmapper lab --prepare` wrote.

Arguments: smb.conf, accounts.json, realm, NetBIOS name, domain SID. Uses Samba's library: samba-tool would insist on SYSVOL ACLs,
which need extended attributes that a container's file system may not have, and cannot choose an account's SID.
"""

import base64
import json
import logging
import sys

import ldb
import samba.getopt  # noqa: F401  (sets up what the library expects of a command)
from samba.auth import system_session
from samba.dcerpc import security
from samba.dsdb import DS_DOMAIN_FUNCTION_2008_R2
from samba.ndr import ndr_pack
from samba.param import LoadParm
from samba.provision import provision
from samba.samdb import SamDB

conf, accounts_file, realm, netbios, domain_sid = sys.argv[1:6]
lab = json.load(open(accounts_file, encoding="utf-8"))
logging.basicConfig(stream=sys.stderr, level=logging.WARNING)
parameters = LoadParm()
parameters.load(conf)
provision(
    logging.getLogger("provision"),
    session_info=system_session(),
    smbconf=conf,
    lp=parameters,
    realm=realm,
    domain=netbios,
    domainsid=security.dom_sid(domain_sid),
    hostname="dc1",
    hostip="127.0.0.1",
    adminpass="Lab-only-0-not-a-secret",
    serverrole="active directory domain controller",
    dns_backend="NONE",
    dom_for_fun_level=DS_DOMAIN_FUNCTION_2008_R2,
    base_schema="2012_R2",
    useeadb=True,
    use_rfc2307=False,
    skip_sysvolacl=True,
)

sam = SamDB(url=parameters.samdb_url(), session_info=system_session(), lp=parameters)
base = sam.domain_dn()
sam.transaction_start()
policy = ldb.Message(ldb.Dn(sam, base))
policy["pwdProperties"] = ldb.MessageElement("0", ldb.FLAG_MOD_REPLACE, "pwdProperties")
sam.modify(policy)

for account in lab["accounts"]:
    computer = account["kind"] == "computer"
    container = "CN=Computers" if computer else "CN=Users"
    dn = f"CN={account['name']},{container},{base}"
    entry = {
        "dn": dn,
        "objectClass": "computer" if computer else "user",
        "sAMAccountName": account["samAccountName"],
        "objectSid": ndr_pack(security.dom_sid(account["sid"])),
        "userAccountControl": str(account["userAccountControl"]),
        "accountExpires": account["accountExpires"],
    }
    for attribute in ("userPrincipalName", "dNSHostName"):
        if account[attribute] is not None:
            entry[attribute] = account[attribute]
    if account["altSecurityIdentities"]:
        entry["altSecurityIdentities"] = account["altSecurityIdentities"]
    if account["password"] is not None:
        entry["unicodePwd"] = ('"' + account["password"] + '"').encode("utf-16-le")
    else:
        # An account that nobody logs on to by password; PASSWD_NOTREQD lets it be enabled without one.
        entry["userAccountControl"] = str(account["userAccountControl"] | 0x20)
    sam.add(entry, ["relax:0"])

for group in lab["groups"]:
    entry = {
        "dn": f"CN={group['name']},CN=Users,{base}",
        "objectClass": "group",
        "sAMAccountName": group["name"],
        "objectSid": ndr_pack(security.dom_sid(group["sid"])),
        "member": [f"CN={member},CN=Users,{base}" for member in group["members"]],
    }
    sam.add(entry, ["relax:0"])

config = sam.get_config_basedn()
sam.add(
    {
        "dn": f"CN=NTAuthCertificates,CN=Public Key Services,CN=Services,{config}",
        "objectClass": "certificationAuthority",
        "cACertificate": [base64.b64decode(value) for value in lab["ntAuth"]],
        "authorityRevocationList": b"\0",
        "certificateRevocationList": b"\0",
    }
)
sam.transaction_commit()
print(f"{len(lab['accounts'])} accounts and {len(lab['groups'])} groups are in {realm}")
