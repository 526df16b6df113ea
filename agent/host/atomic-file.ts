/**
 * The agent's only way to write a file: whole or not at all. Temporary file in the same
 * folder, fsync, rename, fsync of the folder, so that a reader (or a machine that loses
 * power) sees the old text or the new one and never half of either.
 */
import { mkdir, open, readFile, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { TwillError } from "../../common/errors.ts";

/** Replaces `path` with `text` under exactly this mode, whatever the umask is. */
export async function writeFileAtomic(
  path: string,
  text: string | Uint8Array,
  mode: number,
): Promise<void> {
  const folder = dirname(path);
  // One writer per file: a fixed name means that a crash leaves one leftover at most.
  const temporary = join(folder, `.${basename(path)}.tmp`);
  try {
    await mkdir(folder, { recursive: true, mode: 0o755 });
    const file = await open(temporary, "w", mode);
    try {
      await file.writeFile(text);
      await file.chmod(mode);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
    await syncFolder(folder);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw failed("write", path, error);
  }
}

/** The text, undefined when there is no such file. */
export async function readFileIfPresent(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw failed("read", path, error);
  }
}

/** No error when it is not there. */
export async function removeFile(path: string): Promise<void> {
  try {
    await rm(path, { force: true });
  } catch (error) {
    throw failed("remove", path, error);
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}

function failed(verb: string, path: string, cause: unknown): TwillError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new TwillError("FILE_FAILED", `cannot ${verb} ${path}: ${reason}`, {
    cause,
    context: { path },
  });
}
