export * from './container-runtime.ts';
export { createLauncherRuntime, type LauncherRuntimeOptions } from './launcher-runtime.ts';
export { createOciCliRuntime, type OciCliRuntimeOptions } from './oci-cli-runtime.ts';
export { auditArch, compileSeccomp, defaultSeccompProfile, interpretBpf } from './seccomp/index.ts';
export { shimAnswers } from './shim-connection.ts';
