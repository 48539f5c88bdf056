import { GantryError } from '#errors/index.ts';
import type { S3Options } from '#registry/index.ts';

export const defaultDataRoot = '/var/lib/gantry-hub';

/** A directory of this machine, or a PostgreSQL database with a bucket beside it. */
export type StorageOptions =
  | { readonly kind: 'files'; readonly dataRoot: string }
  | ({ readonly kind: 'shared'; readonly database: string; readonly redirect: boolean } & S3Options);

const string = { type: 'string' } as const;
/** The flags of every command that uses a hub's storage. */
export const storageFlags = {
  'data-root': string,
  database: string,
  's3-endpoint': string,
  's3-bucket': string,
  's3-region': string,
  's3-redirect': string,
} as const;

export const storageHelp = `      --data-root string    Images and accounts (default "${defaultDataRoot}")
      --database URL        Accounts in PostgreSQL instead, and images in a bucket, for any number of hubs:
                            postgres://user@host/name, or the variable GANTRY_HUB_DATABASE
      --s3-endpoint URL     The object store's address, such as https://s3.eu-central-1.amazonaws.com; its keys are
                            the variables AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY
      --s3-bucket string    The bucket; it must be there
      --s3-region string    Its region (default "us-east-1")
      --s3-redirect string  on, clients are sent to the bucket for blobs; off, the hub hands them on (default "on")
`;

type Values = Readonly<Record<string, unknown>>;

/** @throws GantryError invalid for half of a pair, naming what is missing */
export function readStorageOptions(values: Values, env: NodeJS.ProcessEnv = process.env): StorageOptions {
  const text = (flag: string): string | undefined => {
    const value = values[flag];
    return typeof value === 'string' && value !== '' ? value : undefined;
  };
  const dataRoot = text('data-root');
  // A data root that is named is meant, whatever the environment holds.
  const database = text('database') ?? (dataRoot === undefined ? env.GANTRY_HUB_DATABASE : undefined);
  const [endpoint, bucket] = [text('s3-endpoint'), text('s3-bucket')];
  const missing = (what: string, why: string) => new GantryError('invalid', `${what} is missing: ${why}`);
  if (database === undefined) {
    if (endpoint !== undefined || bucket !== undefined)
      throw missing('--database', 'a bucket holds the images, and PostgreSQL the rest; give both');
    return { kind: 'files', dataRoot: dataRoot ?? defaultDataRoot };
  }
  if (dataRoot !== undefined) throw new GantryError('invalid', 'give --data-root or --database, not both');
  if (!/^postgres(?:ql)?:\/\//.test(database))
    throw new GantryError('invalid', 'the database is not a URL such as postgres://user@host/name');
  if (endpoint === undefined) throw missing('--s3-endpoint', 'with --database the images lie in a bucket');
  if (bucket === undefined) throw missing('--s3-bucket', 'with --database the images lie in a bucket');
  const { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey, AWS_SESSION_TOKEN: session } = env;
  if (accessKeyId === undefined || secretAccessKey === undefined)
    throw missing('AWS_ACCESS_KEY_ID or AWS_SECRET_ACCESS_KEY', 'set the variables to the keys of the object store');
  const redirect = text('s3-redirect') ?? 'on';
  if (redirect !== 'on' && redirect !== 'off')
    throw new GantryError('invalid', `--s3-redirect "${redirect}": expected on or off`);
  return {
    kind: 'shared',
    database,
    endpoint,
    bucket,
    region: text('s3-region') ?? 'us-east-1',
    accessKeyId,
    secretAccessKey,
    ...(session === undefined ? {} : { sessionToken: session }),
    redirect: redirect === 'on',
  };
}
