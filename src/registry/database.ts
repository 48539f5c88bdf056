/** What a column holds, or a statement is given. */
export type Value = string | number | null | Uint8Array;
export type Row = Readonly<Record<string, unknown>>;
/** Values for `?` in their order, or one object with the values of `:names`. */
export type Arguments = readonly Value[] | readonly [Readonly<Record<string, Value>>];

/** One statement of SQL that both SQLite and PostgreSQL understand, to be run any number of times. */
export interface Statement {
  /** The first row. */
  get(...parameters: Arguments): Promise<Row | undefined>;
  all(...parameters: Arguments): Promise<readonly Row[]>;
  /** How many rows it changed. */
  run(...parameters: Arguments): Promise<number>;
}

/**
 * The hub's state. Statements that run within the body of `transact` belong to its transaction; any other sees what is
 * committed, and is a transaction by itself. What is committed is on the disk when the promise is fulfilled.
 */
export interface Database extends AsyncDisposable {
  prepare(sql: string): Statement;
  /**
   * All of the body or nothing of it; within another one it is a part of that. `contended` names what the body looks at
   * before it writes (`account 5`, a digest): of two transactions, of whatever process, that name the same, the second
   * begins when the first has ended, and sees what it did. The body waits for the database alone, never for a network.
   */
  transact<T>(contended: readonly string[], body: () => Promise<T>): Promise<T>;
  /**
   * The same state, for what a power cut may take away and a killed process may not, such as uploads that are not
   * finished, and records: nothing waits for the disk.
   */
  readonly relaxed: Pick<Database, 'prepare' | 'transact'>;
  /** A right that one process at a time has, until it is disposed of or the process ends; undefined where another has it. */
  hold(right: 'collecting'): Promise<AsyncDisposable | undefined>;
  /** Tells every process that listens, this one too, of a few bytes of text. */
  notify(channel: string, text: string): Promise<void>;
  /** Hears all that is told from when it is fulfilled, until the function is called that it gives. */
  listen(channel: string, listener: (text: string) => void): Promise<() => void>;
  /** @throws what makes it impossible to use it at this moment */
  check(): Promise<void>;
}
