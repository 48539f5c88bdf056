/** A file of ours by the address it is served at. */
declare module '*.svg' {
  const address: string;
  export default address;
}
