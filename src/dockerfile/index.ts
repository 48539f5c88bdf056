export { expandText, expandWord, expandWords, type Lookup } from './expand.ts';
export { compileGlob, type Glob, globMatches, hasWildcard } from './glob.ts';
export * from './instructions.ts';
export { checkDirective, type LintKnowledge, type LintRule, type LintWarning, lintDockerfile } from './lint.ts';
export type { Comment, Directive, Heredoc } from './logical-lines.ts';
export { nearest } from './nearest.ts';
export { type Dockerfile, parseDockerfile, parseTrigger, type Stage } from './parse.ts';
export { type CacheSharing, csvFields, parseRunMount, type RunMount } from './run-mount.ts';
export { frameError, type Position, type Source, type Span } from './source.ts';
