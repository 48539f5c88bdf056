/** The first bytes of a source (fewer where it is shorter), and the whole of it, to be read once. */
export async function peek(
  source: AsyncIterable<Uint8Array>,
  bytes: number,
): Promise<{ readonly head: Buffer; readonly whole: AsyncGenerator<Uint8Array> }> {
  const iterator = source[Symbol.asyncIterator]();
  const first: Uint8Array[] = [];
  for (let read = 0; read < bytes; ) {
    const next = await iterator.next();
    if (next.done) break;
    first.push(next.value);
    read += next.value.length;
  }
  const whole = (async function* () {
    try {
      yield* first;
      for (let next = await iterator.next(); !next.done; next = await iterator.next()) yield next.value;
    } finally {
      await iterator.return?.();
    }
  })();
  return { head: Buffer.concat(first), whole };
}
