/** What every channel from one controller to another has in common. */
import type { ClientOptions } from "@grpc/grpc-js";

export const REPLICA_CHANNEL = {
  "grpc.enable_channelz": 0,
  // A proxy meant for the web is no way to a controller.
  "grpc.enable_http_proxy": 0,
  "grpc.service_config_disable_resolution": 1,
} satisfies ClientOptions;
