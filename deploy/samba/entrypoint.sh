#!/bin/sh
# Provisions the lab's domain once, loads its accounts, and runs the domain controller. Environment: LAB (folder that `dsmapper lab --prepare`
# filled), STATE (private folder), INTERFACES (as smb.conf takes them; empty: all).
set -eu
LAB="${LAB:-/lab}"
STATE="${STATE:-/var/lib/dsmapper-samba}"
INTERFACES="${INTERFACES:-}"
HERE="$(dirname "$0")"

mkdir -p "$STATE/etc" "$STATE/private/tls" "$STATE/state" "$STATE/cache" "$STATE/lock" "$STATE/run" "$STATE/log"
field() { /usr/bin/python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$LAB/accounts.json" "$1"; }
REALM="$(field domain)"
NETBIOS="$(field netbiosName)"
DOMAIN_SID="$(field domainSid)"

# Samba demands a key that nobody else can read.
cp "$LAB/certs/directory.pem" "$STATE/private/tls/cert.pem"
cp "$LAB/certs/root.pem" "$STATE/private/tls/ca.pem"
install -m 0600 "$LAB/certs/directory.key" "$STATE/private/tls/key.pem"

cat >"$STATE/etc/smb.conf" <<CONF
[global]
  netbios name = DC1
  realm = $REALM
  workgroup = $NETBIOS
  server role = active directory domain controller
  server services = ldap
  ${INTERFACES:+interfaces = $INTERFACES}
  ${INTERFACES:+bind interfaces only = yes}
  private dir = $STATE/private
  state directory = $STATE/state
  cache directory = $STATE/cache
  lock directory = $STATE/lock
  pid directory = $STATE/run
  ncalrpc dir = $STATE/run/ncalrpc
  winbindd socket directory = $STATE/run/winbindd
  ntp signd socket directory = $STATE/run/ntp
  binddns dir = $STATE/binddns
  log file = $STATE/log/samba.log
  tls enabled = yes
  tls keyfile = $STATE/private/tls/key.pem
  tls certfile = $STATE/private/tls/cert.pem
  tls cafile = $STATE/private/tls/ca.pem
  ldap server require strong auth = yes
[netlogon]
  path = $STATE/state/sysvol
[sysvol]
  path = $STATE/state/sysvol
CONF

if [ ! -e "$STATE/provisioned" ]; then
  /usr/bin/python3 "$HERE/accounts.py" "$STATE/etc/smb.conf" "$LAB/accounts.json" "$REALM" "$NETBIOS" "$DOMAIN_SID"
  touch "$STATE/provisioned"
fi
exec samba -F --no-process-group -M single -s "$STATE/etc/smb.conf"
