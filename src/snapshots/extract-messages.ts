import type { ErrorKind } from '#errors/index.ts';
import type { Extracted } from './extractor.ts';
import type { UnpackJob } from './unpacker.ts';

/** What the pool tells a worker. `id` names one tar; its messages are answered in order. */
export type ToWorker =
  | { readonly id: number; readonly kind: 'start'; readonly job: UnpackJob }
  | { readonly id: number; readonly kind: 'write'; readonly bytes: ArrayBuffer; readonly length: number }
  | { readonly id: number; readonly kind: 'finish' }
  | { readonly id: number; readonly kind: 'complete'; readonly lowerTrees: readonly string[] }
  | { readonly id: number; readonly kind: 'abort' };

/**
 * What a worker answers: one for each message but `start`; what was written comes back, to be filled again. After `failed`, `aborted`, `completed`, and of a tree `finished`,
 * it knows the tar no more.
 */
export type FromWorker =
  | { readonly id: number; readonly kind: 'written'; readonly bytes: ArrayBuffer }
  | { readonly id: number; readonly kind: 'aborted' | 'completed' }
  | { readonly id: number; readonly kind: 'finished'; readonly extracted: Extracted }
  | {
      readonly id: number;
      readonly kind: 'failed';
      readonly error: { readonly kind: ErrorKind; readonly code: string; readonly message: string };
    };
