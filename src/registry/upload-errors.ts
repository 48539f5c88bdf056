import { GantryError } from '#errors/index.ts';

/** A chunk that does not begin where the upload stands. */
export class RangeInvalid extends GantryError {
  readonly offset: number;
  constructor(offset: number, message: string) {
    super('invalid', message, { code: 'range-invalid' });
    this.offset = offset;
  }
}

export const uploadUnknown = (id: string): GantryError =>
  new GantryError('not-found', `there is no upload ${id} here; it was finished, dropped or is too old`, {
    code: 'upload-unknown',
  });

export const tooManyBytes = (): GantryError =>
  new GantryError('invalid', 'the chunk has more bytes than its range names', { code: 'size-invalid' });
