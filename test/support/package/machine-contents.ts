/** Everything that a package could leave behind on a machine, as lines that can be compared. */
import type { SystemdMachine } from "../systemd-machine.ts";

/** Where packages put files. dpkg's and apt's own books and systemd's are theirs. */
const FILES = `find /etc /usr /var/lib /root /run/flannel -xdev \\
  \\( -path /var/lib/dpkg -o -path /var/lib/apt -o -path /var/lib/systemd -o -path /var/lib/etcd \\
  -o -path /usr/share/mime -o -path '/root/*' \\) -prune -o -print 2>/dev/null | sort`;
/**
 * Left out: link-local routes, which come and go by themselves; the empty base chains that
 * iptables leaves as nft tables; ip_forward, which Debian's bridge plugin sets.
 */
const KERNEL = `ip -o link | sed 's/ state .*//; s/^[0-9]*: //'; ip -4 -o address | sed 's/^[0-9]*: //'
  ip route show table all; ip -6 route | grep -v '^fe80'
  nft list tables | grep -vE ' (nat|filter)$'
  for save in iptables-save ip6tables-save; do $save | grep -E '^(-|:[^ ]+ -)'; done; true`;

export interface MachineContents {
  readonly files: readonly string[];
  readonly kernel: readonly string[];
}

export async function contentsOf(machine: SystemdMachine): Promise<MachineContents> {
  const lines = async (script: string): Promise<readonly string[]> =>
    (await machine.run("bash", "-c", script)).split("\n").map((line) => line.trim());
  return { files: await lines(FILES), kernel: await lines(KERNEL) };
}

/** What is in one and not in the other. */
export function difference(before: readonly string[], after: readonly string[]): string[] {
  const [had, has] = [new Set(before), new Set(after)];
  return [
    ...after.filter((line) => !had.has(line)).map((line) => `+ ${line}`),
    ...before.filter((line) => !has.has(line)).map((line) => `- ${line}`),
  ];
}
