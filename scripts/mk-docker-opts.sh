#!/usr/bin/env bash
# Turns subnet.env into options for dockerd, with the flags and output of flannel's script
# of this name, plus IPv6 when the node has an IPv6 subnet.
set -u

usage() {
  cat >&2 <<EOF
usage: ${0##*/} [-f FILE] [-d FILE] [-i | -c] [-m] [-k KEY]
  -f FILE  subnet.env to read                    (default /run/flannel/subnet.env)
  -d FILE  file of docker options to write       (default /run/docker_opts.env)
  -i       individual DOCKER_OPT_* variables only
  -c       the combined variable only            (default: both)
  -m       no --ip-masq option
  -k KEY   name of the combined variable         (default DOCKER_OPTS)
EOF
  exit 1
}

subnet_file=/run/flannel/subnet.env
docker_file=/run/docker_opts.env
key=DOCKER_OPTS
individual=true combined=true masq=true
while getopts 'f:d:icmk:h?' option; do
  case $option in
    f) subnet_file=$OPTARG ;;
    d) docker_file=$OPTARG ;;
    i) combined=false individual=true ;;
    c) individual=false combined=true ;;
    m) masq=false ;;
    k) key=$OPTARG ;;
    *) usage ;;
  esac
done
[[ $key =~ ^[A-Za-z_][A-Za-z0-9_]*$ ]] || { echo "-k $key: not a variable name" >&2; exit 1; }

# A missing file is no error: docker then starts without our options, as with flannel.
if [ -f "$subnet_file" ]; then
  # shellcheck disable=SC1090
  . "$subnet_file"
fi

if [ -n "${FLANNEL_SUBNET-}" ]; then DOCKER_OPT_BIP="--bip=$FLANNEL_SUBNET"; fi
if [ -n "${FLANNEL_MTU-}" ]; then DOCKER_OPT_MTU="--mtu=$FLANNEL_MTU"; fi
if [ -n "${FLANNEL_IPV6_SUBNET-}" ]; then
  DOCKER_OPT_IPV6="--ipv6"
  DOCKER_OPT_FIXED_CIDR_V6="--fixed-cidr-v6=$FLANNEL_IPV6_SUBNET"
fi
# Inverted: exactly one of flannel and docker masquerades.
if $masq && [ -n "${FLANNEL_IPMASQ-}" ]; then
  case $FLANNEL_IPMASQ in
    true) DOCKER_OPT_IPMASQ="--ip-masq=false" ;;
    false) DOCKER_OPT_IPMASQ="--ip-masq=true" ;;
    *) echo "FLANNEL_IPMASQ=$FLANNEL_IPMASQ in $subnet_file: must be true or false" >&2; exit 1 ;;
  esac
fi

{
  all=${!key-}
  for name in $(compgen -A variable DOCKER_OPT_ | LC_ALL=C sort); do
    if $individual; then printf '%s="%s"\n' "$name" "${!name}"; fi
    all+=" ${!name}"
  done
  if $combined; then printf '%s="%s"\n' "$key" "$all"; fi
} > "$docker_file" || exit 1

# docker refuses a bridge whose subnet is routed elsewhere; say so now, the file stands.
if [ -n "${FLANNEL_SUBNET-}" ] && command -v ip > /dev/null; then
  IFS=./ read -r a b c d length <<< "$FLANNEL_SUBNET"
  value=$(( ((a << 24) | (b << 16) | (c << 8) | d) & (0xffffffff << (32 - length)) & 0xffffffff ))
  network="$((value >> 24)).$((value >> 16 & 255)).$((value >> 8 & 255)).$((value & 255))/$length"
  if ip route show 2> /dev/null | grep -q "^$network via "; then
    echo "Your routing table already contains the subnet: $network" >&2
    exit 1
  fi
fi
