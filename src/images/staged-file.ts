import { randomUUID } from 'node:crypto';

/** A name in the content store's staging directory that is this service's own. */
export const stagedFile = (staging: string): string => `${staging}/image-${randomUUID()}`;

export const stagedName = /^image-[0-9a-f-]{36}$/;
