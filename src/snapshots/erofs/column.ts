type Numbers = Uint8Array | Uint16Array | Uint32Array | Float64Array;

/** Numbers by index that grow as needed; what was never set is 0. A million of them cost what their bytes are. */
export class Column {
  #values: Numbers;
  readonly #make: (length: number) => Numbers;

  constructor(make: (length: number) => Numbers) {
    this.#make = make;
    this.#values = make(1024);
  }

  at(index: number): number {
    return this.#values[index] ?? 0;
  }

  set(index: number, value: number): void {
    if (index >= this.#values.length) {
      const grown = this.#make(Math.max(index + 1, this.#values.length * 2));
      grown.set(this.#values);
      this.#values = grown;
    }
    this.#values[index] = value;
  }
}

export const u32 = (length: number): Numbers => new Uint32Array(length);
export const f64 = (length: number): Numbers => new Float64Array(length);
