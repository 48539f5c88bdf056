export * from './container-runtime.ts';
export { auditArch, compileSeccomp, defaultSeccompProfile, interpretBpf } from './seccomp/index.ts';
