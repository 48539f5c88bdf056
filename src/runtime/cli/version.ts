export const version = '0.1.0';
/** The newest version of the runtime specification that is carried out, and the oldest. */
export const specification = { newest: '1.3.0', oldest: '1.0.0' } as const;
