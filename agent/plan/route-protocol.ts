/** rtm_protocol of our routes: how a process that remembers nothing knows them again. */

/** Set by the kernel for a local address; never touched. */
export const RTPROT_KERNEL = 2;

/**
 * `ip route add`'s and flannel's. Routes through a device of ours carry it, so that
 * `ip route` prints what it prints for flannel; the device's name says whose they are.
 */
export const RTPROT_BOOT = 3;

/** Twill's own, for routes that no device of ours marks (host-gw, DirectRouting, blackhole). */
export const RTPROT_TWILL = 84;
