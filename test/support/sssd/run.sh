#!/bin/sh
# SSSD in namespaces of its own: its database, pipes and log are at compiled-in paths, which here are folders of the test. $1: folder with sssd.conf
set -e
for place in /var/lib/sss /var/log/sssd; do
  own="$1/$(basename "$place")"
  cp -a "$place" "$own"
  mount --bind "$own" "$place"
done
mkdir "$1/run"
mount --bind "$1/run" /run
exec sssd -i -c "$1/sssd.conf" --logger=files -d 9
