/** A variable that is read, and how where its text is not a flag's. */
export interface Variable<T> {
  readonly name: string;
  readonly parse?: (text: string) => T;
}

/** One thing that can be set: by its flag, else by its first variable that is not empty, else it is the fallback. */
export interface Setting<T> {
  /** Without its dashes. */
  readonly flag: string;
  /** The short form of the flag. */
  readonly letter?: string;
  /** What stands for the value in help; none for a switch. */
  readonly value?: string;
  readonly variables: readonly (string | Variable<T>)[];
  readonly fallback: T;
  /** How help words the fallback. */
  readonly shown: string;
  readonly description: string;
  /** Throws a RangeError that says what was expected. */
  readonly parse: (text: string) => T;
}

/** Infers T. */
export function setting<T>(one: Setting<T>): Setting<T> {
  return one;
}
