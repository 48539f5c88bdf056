import { isGantryError } from '#errors/index.ts';
import { kernel, openNetlink, rtnetlink, SyscallError } from '#linux/index.ts';

/**
 * Deletes links behind everybody's back. The kernel waits a grace period (about 17 ms) for each deletion: whatever was given
 * meanwhile is put into one link group and goes in one.
 */
export interface LinkReaper extends AsyncDisposable {
  add(name: string): void;
  /** The same, waited for. */
  remove(name: string): Promise<void>;
  /** Waits for what is under way. @throws SyscallError where a link could not be deleted; the next start tries again */
  [Symbol.asyncDispose](): Promise<void>;
}

/** The kernel is held up for as long as it deletes. */
const AT_ONCE = 64;

/** `group` must be of no other use on this host. */
export function createLinkReaper(group: number): LinkReaper {
  const waiting: string[] = [];
  let work: Promise<void> | undefined;
  let failure: unknown;

  async function reap(): Promise<void> {
    while (waiting.length > 0) {
      const names = waiting.splice(0, AT_ONCE);
      try {
        using socket = openNetlink(kernel, 'route');
        const about = `deleting ${names.slice(0, 3).join(', ')}${names.length > 3 ? ` and ${names.length - 3} more` : ''}`;
        // Each on its own, since a link that went with its namespace says ENODEV.
        const moves = names.map((name) => rtnetlink.setLink(name, { group }));
        await socket.requestAsync(moves, about).catch(ifGone);
        await socket.requestAsync([rtnetlink.deleteGroup(group)], about).catch(ifGone);
      } catch (error) {
        failure ??= error;
      }
    }
    work = undefined;
  }

  return {
    add(name) {
      waiting.push(name);
      work ??= Promise.resolve().then(reap);
    },
    async remove(name) {
      this.add(name);
      await work;
    },
    async [Symbol.asyncDispose]() {
      await work;
      if (failure !== undefined) throw failure;
    },
  };
}

/** @throws what is not ENODEV */
export function ifGone(error: unknown): void {
  if (!isGantryError(error) || !(error instanceof SyscallError) || error.code !== 'ENODEV') throw error;
}
