import { type ErrorKind, type GantryError, isGantryError } from '#errors/index.ts';

/** An HTTP status and a code of the distribution API (distribution-spec: error codes). */
export interface WireError {
  readonly status: number;
  readonly code: string;
}

const wire = (status: number, code: string): WireError => ({ status, code });

const byKind: Readonly<Record<ErrorKind, WireError>> = {
  invalid: wire(400, 'UNSUPPORTED'),
  'not-found': wire(404, 'NAME_UNKNOWN'),
  conflict: wire(409, 'DENIED'),
  unauthorized: wire(401, 'UNAUTHORIZED'),
  forbidden: wire(403, 'DENIED'),
  unavailable: wire(503, 'TOOMANYREQUESTS'),
  unsupported: wire(405, 'UNSUPPORTED'),
  cancelled: wire(400, 'BLOB_UPLOAD_INVALID'),
  corrupt: wire(500, 'UNKNOWN'),
  exhausted: wire(507, 'UNKNOWN'),
  internal: wire(500, 'UNKNOWN'),
};

const byCode: Readonly<Record<string, WireError>> = {
  'name-invalid': wire(400, 'NAME_INVALID'),
  'name-unknown': wire(404, 'NAME_UNKNOWN'),
  'blob-unknown': wire(404, 'BLOB_UNKNOWN'),
  'digest-invalid': wire(400, 'DIGEST_INVALID'),
  'upload-unknown': wire(404, 'BLOB_UPLOAD_UNKNOWN'),
  'upload-invalid': wire(400, 'BLOB_UPLOAD_INVALID'),
  'range-invalid': wire(416, 'BLOB_UPLOAD_INVALID'),
  'range-unsatisfiable': wire(416, 'SIZE_INVALID'),
  'size-invalid': wire(400, 'SIZE_INVALID'),
  'tag-invalid': wire(400, 'MANIFEST_INVALID'),
  'manifest-invalid': wire(400, 'MANIFEST_INVALID'),
  'manifest-unknown': wire(404, 'MANIFEST_UNKNOWN'),
  'manifest-blob-unknown': wire(404, 'MANIFEST_BLOB_UNKNOWN'),
  'manifest-too-large': wire(413, 'SIZE_INVALID'),
  'login-throttled': wire(429, 'TOOMANYREQUESTS'),
  'quota-exceeded': wire(403, 'DENIED'),
  'tag-immutable': wire(409, 'DENIED'),
  'too-many-uploads': wire(429, 'TOOMANYREQUESTS'),
  busy: wire(429, 'TOOMANYREQUESTS'),
  'body-too-large': wire(413, 'SIZE_INVALID'),
};

/** How an error goes out, on the distribution API and (its status) on the pages' API. */
export const wireErrorOf = (error: GantryError): WireError =>
  Object.hasOwn(byCode, error.code) ? (byCode[error.code] ?? byKind[error.kind]) : byKind[error.kind];

/** The status of any thrown value; fastify's own errors carry one. */
export function statusOf(error: unknown): number {
  if (isGantryError(error)) return wireErrorOf(error).status;
  const status = error instanceof Error && 'statusCode' in error ? error.statusCode : undefined;
  return typeof status === 'number' && status >= 400 && status < 500 ? status : 500;
}
