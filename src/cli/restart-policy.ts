import { Failure } from './failure.ts';

/** `--restart on-failure:3` as the API has it. @throws Failure */
export function restartPolicyOf(text: string) {
  const [name = '', count] = text.split(':');
  if (count !== undefined && !/^\d+$/.test(count))
    throw new Failure('invalid restart policy format: maximum retry count must be an integer', 125);
  return { Name: name, MaximumRetryCount: Number(count ?? 0) };
}
