/**
 * The .proto files as gRPC reflection wants them (the only use of proto-loader). Messages
 * themselves are coded by proto/gen, which is faster and needs no files; a test holds the
 * two to the same bytes. Loads a large library: import it lazily.
 */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { load, type PackageDefinition } from "@grpc/proto-loader";

/** The package ships proto/ beside dist/, and this file runs as dist/proto/load.js. */
const PROTO_FOLDER = fileURLToPath(new URL("../../proto/", import.meta.url));
const PACKAGE_FOLDER = "twill/v1";

/** Every message and service of package twill.v1. Rejects when a .proto file is missing or broken. */
export async function loadPackageDefinition(): Promise<PackageDefinition> {
  const entries = await readdir(join(PROTO_FOLDER, PACKAGE_FOLDER));
  const files = entries.filter((entry) => entry.endsWith(".proto")).sort();
  return load(
    files.map((file) => join(PACKAGE_FOLDER, file)),
    { includeDirs: [PROTO_FOLDER], longs: Number },
  );
}
