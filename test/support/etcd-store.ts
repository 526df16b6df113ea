/** An EtcdStore for tests: real clock, no log unless given. */
import { systemClock } from "../../common/async/clock.ts";
import { type Logger, silentLogger } from "../../common/log.ts";
import {
  DEFAULT_ETCD_OPTIONS,
  type EtcdOptionTexts,
  parseEtcdOptions,
} from "../../controller/store/etcd-options.ts";
import { EtcdStore } from "../../controller/store/etcd-store.ts";

export function openEtcdStore(
  endpoints: readonly string[],
  texts: Partial<EtcdOptionTexts> = {},
  log: Logger = silentLogger,
): Promise<EtcdStore> {
  const options = { ...DEFAULT_ETCD_OPTIONS, ...texts, endpoints: endpoints.join(",") };
  return EtcdStore.open(parseEtcdOptions(options), {
    clock: systemClock,
    random: Math.random,
    log,
  });
}
