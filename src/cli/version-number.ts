/** This program's version: package.json's, which a compiled program has not beside it. */
export const version = '0.1.0';
