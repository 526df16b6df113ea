#!/bin/sh
# The lab's certificate authority, and for each daemon below /pki/ROLE/NAME (a volume of its own)
# ca.crt, daemon.crt and daemon.key. Controllers run as 65532. What is there stays.
set -eu
[ -e /ca/ca.key ] || twillctl pki init --dir /ca --trust-domain lab
for folder in /pki/*/*; do
  role=$(basename "$(dirname "$folder")") name=$(basename "$folder")
  [ ! -e "$folder/daemon.key" ] || continue
  names=
  [ "$role" = node ] || names="--dns $name --dns localhost --ip 127.0.0.1"
  # shellcheck disable=SC2086
  twillctl pki issue "$role" "$name" $names --dir /ca --out "$folder"
  mv "$folder/$role-$name.crt" "$folder/daemon.crt"
  mv "$folder/$role-$name.key" "$folder/daemon.key"
  cp /ca/ca.crt "$folder/ca.crt"
  [ "$role" = node ] || chown -R 65532:65532 "$folder"
done
