/** An EtcdStore for tests: real clock, no log unless given. */
import { systemClock } from "../../common/async/clock.ts";
import { silentLogger } from "../../common/log.ts";
import {
  DEFAULT_ETCD_OPTIONS,
  type EtcdOptionTexts,
  parseEtcdOptions,
} from "../../controller/store/etcd-options.ts";
import { EtcdStore, type EtcdStoreParts } from "../../controller/store/etcd-store.ts";

/** `random: () => 0` begins at the first endpoint. */
export function openEtcdStore(
  endpoints: readonly string[],
  texts: Partial<EtcdOptionTexts> = {},
  parts: Partial<EtcdStoreParts> = {},
): Promise<EtcdStore> {
  const options = { ...DEFAULT_ETCD_OPTIONS, ...texts, endpoints: endpoints.join(",") };
  const defaults = { clock: systemClock, random: Math.random, log: silentLogger };
  return EtcdStore.open(parseEtcdOptions(options), { ...defaults, ...parts });
}
