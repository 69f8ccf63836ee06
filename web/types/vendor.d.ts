// Packages, under the addresses from which the pages have them.
declare module "*/vendor/aws4fetch/aws4fetch.esm.mjs" {
  export { AwsClient } from "aws4fetch";
}
declare module "*/vendor/uppy/uppy.min.mjs" {
  export { Dashboard, Uppy } from "uppy";
}
