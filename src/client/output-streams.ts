import { GantryError, messageOf } from '#errors/index.ts';

export interface OutputChunk {
  readonly stream: 'stdout' | 'stderr';
  readonly data: Buffer;
}

/** The type of the frame that tells a process's end, on connections of our own API that promise one. */
const endType = 4;

/**
 * Takes Docker's multiplexed stream apart (Engine API: ContainerAttach, "Stream format"): frames of 8 header bytes and a
 * payload. Payloads are passed on as they arrive, without waiting for a frame to be whole.
 * @param onEnd gets the payload of the frame that tells the process's end, where one is promised
 * @throws GantryError corrupt for a header that is none, or a stream that breaks off inside a frame
 */
export async function* demultiplex(
  source: AsyncIterable<Buffer>,
  onEnd?: (payload: string) => void,
): AsyncGenerator<OutputChunk, void, void> {
  let header = Buffer.alloc(0);
  let left = 0;
  let stream: OutputChunk['stream'] | 'end' = 'stdout';
  const told: Buffer[] = [];
  for await (let data of source) {
    while (data.length > 0) {
      if (left === 0) {
        const take = Math.min(8 - header.length, data.length);
        header = Buffer.concat([header, data.subarray(0, take)]);
        data = data.subarray(take);
        if (header.length < 8) break;
        const type = header[0];
        if (type === undefined || type > (onEnd === undefined ? 3 : endType) || header.readUIntBE(1, 3) !== 0)
          throw new GantryError('corrupt', `the output is not a multiplexed stream: header ${header.toString('hex')}`);
        stream = type === endType ? 'end' : type === 2 || type === 3 ? 'stderr' : 'stdout';
        left = header.readUInt32BE(4);
        header = Buffer.alloc(0);
        continue;
      }
      const payload = data.subarray(0, left);
      if (stream === 'end') told.push(payload);
      else yield { stream, data: payload };
      left -= payload.length;
      data = data.subarray(payload.length);
    }
  }
  if (left > 0 || header.length > 0) throw new GantryError('corrupt', 'the output broke off inside a frame');
  if (told.length > 0) onEnd?.(Buffer.concat(told).toString('utf8'));
}

/** A stream's lines of text, without their ends; the last may lack one. */
export async function* textLines(source: AsyncIterable<Buffer>): AsyncGenerator<string, void, void> {
  const decoder = new TextDecoder();
  let pending = '';
  for await (const chunk of source) {
    pending += decoder.decode(chunk, { stream: true });
    const lines = pending.split('\n');
    pending = lines.pop() ?? '';
    yield* lines;
  }
  if (pending !== '') yield pending;
}

/** Parses a stream of JSON values, one a line. @throws GantryError corrupt */
export async function* jsonLines<T>(source: AsyncIterable<Buffer>): AsyncGenerator<T, void, void> {
  for await (const line of textLines(source)) if (line.trim() !== '') yield parseLine<T>(line);
}

/** @throws GantryError corrupt */
function parseLine<T>(line: string): T {
  try {
    return JSON.parse(line) as T;
  } catch (error) {
    throw new GantryError('corrupt', `the engine sent a line that is not JSON: ${messageOf(error)}`);
  }
}
