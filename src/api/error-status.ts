import type { ErrorKind } from '#errors/index.ts';

/** Every error kind's HTTP status, as the Docker Engine API uses them. */
export const statusOfKind: Readonly<Record<ErrorKind, number>> = {
  invalid: 400,
  'not-found': 404,
  conflict: 409,
  unauthorized: 401,
  forbidden: 403,
  unavailable: 503,
  unsupported: 501,
  cancelled: 499,
  corrupt: 500,
  exhausted: 507,
  internal: 500,
};
