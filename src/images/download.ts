import { setTimeout as delay } from 'node:timers/promises';
import type { RegistryClient, RequestOptions } from '#distribution/index.ts';
import { GantryError, isGantryError, messageOf, throwIfAborted } from '#errors/index.ts';
import type { Descriptor, Reference } from '#oci/index.ts';

const tries = 5;
const firstDelay = 100;

/** Refusals are final; whatever broke the connection may be over in a moment. */
const mayPass = (error: unknown): boolean => !isGantryError(error) || isGantryError(error, 'unavailable');

/**
 * A blob's bytes from a registry. A broken connection is taken up again where it ended (HTTP Range), after 0.1 s
 * doubling up to five times without a byte between; from the second such time on at the registry itself. Yields at most the descriptor's size; what comes is not verified here.
 * @throws GantryError corrupt (code `size-mismatch`), unavailable, not-found, unauthorized, forbidden, cancelled
 */
export async function* downloadBlob(
  registry: Pick<RegistryClient, 'getBlob'>,
  ref: Reference,
  descriptor: Descriptor,
  { signal, start = 0, ...request }: RequestOptions & { readonly start?: number },
): AsyncGenerator<Buffer> {
  const { digest, size } = descriptor;
  const wrongSize = (got: string) =>
    new GantryError('corrupt', `${ref.registry} sent ${got} bytes for ${digest}, whose size is ${size}`, {
      code: 'size-mismatch',
    });
  let received = start;
  let passMirrors = request.passMirrors ?? false;
  for (let attempt = 1; ; attempt++) {
    const before = received;
    try {
      const body = await registry.getBlob(ref, digest, { ...request, signal, start: received, passMirrors });
      for await (const chunk of body as AsyncIterable<Buffer>) {
        received += chunk.length;
        if (received > size) throw wrongSize(`more than ${size}`);
        yield chunk;
      }
      if (received < size) throw wrongSize(`only ${received}`);
      return;
    } catch (error) {
      throwIfAborted(signal);
      if (received > before) attempt = 1;
      else passMirrors = true;
      if (!mayPass(error)) throw error;
      if (received === size) return;
      if (attempt >= tries)
        throw new GantryError(
          'unavailable',
          `the download of ${digest} from ${ref.registry} broke off ${tries} times, the last time with: ${messageOf(error)}`,
          {
            code: 'download-broken',
            cause: error,
          },
        );
    }
    await delay(firstDelay * 2 ** (attempt - 1), undefined, signal === undefined ? {} : { signal }).catch(() =>
      throwIfAborted(signal),
    );
  }
}
