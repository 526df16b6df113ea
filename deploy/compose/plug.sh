#!/bin/sh
# Runs in a machine's network with its pod's processes in sight: the bridge cni0 with the first
# address of the machine's subnet, and a cable from it to the pod. Again when the subnet or the pod
# is another.
set -eu
while sleep 1; do
  [ -e /run/flannel/subnet.env ] || continue
  . /run/flannel/subnet.env
  ip link show cni0 >/dev/null 2>&1 || ip link add cni0 type bridge
  ip link set cni0 mtu "$FLANNEL_MTU" up
  case $(ip -4 -o address show dev cni0) in
    *" $FLANNEL_SUBNET "*) ;;
    *) ip address flush dev cni0; ip address add "$FLANNEL_SUBNET" dev cni0 ;;
  esac
  if ! ip link show pod0 >/dev/null 2>&1; then
    # Process 1 in sight is the pod's.
    ip link add pod0 master cni0 mtu "$FLANNEL_MTU" type veth peer name eth0 mtu "$FLANNEL_MTU" netns 1
    ip link set pod0 up
  fi
done
