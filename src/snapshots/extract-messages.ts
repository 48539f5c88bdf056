import type { ErrorKind } from '#errors/index.ts';
import type { Extracted, ExtractorOptions } from './extractor.ts';

/** What the pool tells a worker. `id` names one extraction; its messages are answered in order. */
export type ToWorker =
  | { readonly id: number; readonly kind: 'start'; readonly rootFd: number; readonly options: ExtractorOptions }
  | { readonly id: number; readonly kind: 'write'; readonly bytes: ArrayBuffer }
  | { readonly id: number; readonly kind: 'finish' }
  | { readonly id: number; readonly kind: 'abort' };

/** What a worker answers: one for each `write`, `finish` and `abort`. After `failed` it knows the extraction no more. */
export type FromWorker =
  | { readonly id: number; readonly kind: 'written' | 'aborted' }
  | { readonly id: number; readonly kind: 'finished'; readonly extracted: Extracted }
  | {
      readonly id: number;
      readonly kind: 'failed';
      readonly error: { readonly kind: ErrorKind; readonly code: string; readonly message: string };
    };
