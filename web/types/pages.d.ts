// Shapes that the pages' scripts share, for `tsc` alone: none of this is served.
import type { components } from "./api";
import type { Bucket as StorageBucket } from "../../control_plane/research/storage/static/storage/s3.js";
import type { Api } from "../uploads/static/uploads/api.js";
import type { Checksums } from "../uploads/static/uploads/checksums.js";
import type { Concurrency } from "../uploads/static/uploads/concurrency.js";
import type { Chooser } from "../uploads/static/uploads/chooser.js";
import type { Queue } from "../uploads/static/uploads/queue.js";
import type { FileSender as SendsFiles } from "../uploads/static/uploads/sending.js";
import type { ListingStore } from "../files/static/files/listing_store.js";
import type { Loading } from "../files/static/files/loading.js";
import type { Server } from "../files/static/files/server.js";
import type { sourceOf } from "../files/static/files/source.js";

type Schemas = components["schemas"];

declare global {
  // Not in every browser (Network Information API).
  interface Navigator {
    readonly connection?: { readonly saveData?: boolean };
  }

  // --- What the control plane takes and gives, from its OpenAPI document.
  type PageSession = Schemas["PageSession"];
  type NewFile = Schemas["File"];
  type StartedFile = Schemas["Started"];
  type ExistingFile = Schemas["Existing"];
  type SentFile = Schemas["Sent"];
  type EndedFile = Schemas["Ended"];
  type DeletionMarker = Schemas["Marker"];
  type DeletionOutcomes = Schemas["Outcomes"];

  // --- S3
  type Bucket = Pick<StorageBucket, keyof StorageBucket>;
  interface S3Object {
    key: string;
    size: number;
    modified: string;
    etag: string;
  }
  interface S3Listing {
    objects: S3Object[];
    folders: string[];
    next: string;
  }
  interface S3Part {
    etag: string;
    size: number;
    crc32: string;
  }
  type SentPart = { number: number; etag: string; crc32: string };
  interface S3RequestOptions {
    query?: Record<string, string>;
    headers?: Record<string, string>;
    body?: string | null;
    sign?: Record<string, unknown>;
    signal?: AbortSignal;
    // The bucket's, where it is not the session's.
    address?: string;
  }
  interface S3PutOptions {
    query?: Record<string, string>;
    headers?: Record<string, string>;
    signal?: AbortSignal;
    address?: string;
    onProgress?: (bytes: number) => void;
  }
  // Of an answer, by its name; S3 gives those that are asked for.
  type HeaderOf = (name: string) => string;

  // --- Uploads
  type UploadApi = Pick<Api, keyof Api>;
  type Uploads = Chooser;
  type UppyFile = ReturnType<Chooser["getFiles"]>[number];
  type UploadQueue = Pick<Queue, keyof Queue>;
  type UploadFileSender = Pick<SendsFiles, keyof SendsFiles>;
  type FileChecksums = Pick<Checksums, keyof Checksums>;
  type UploadConcurrency = Pick<Concurrency, keyof Concurrency>;
  interface UploadSettings {
    // That members may write in.
    folders: string[];
    largest_single_bytes: number;
    other_addresses: string[];
  }
  type UploadState =
    | "chosen"
    | "waiting"
    | "sending"
    | "finishing"
    | "complete"
    | "same"
    | "kept"
    | "asks"
    | "paused"
    | "failed"
    | "removed"
    | "left"
    | "unreadable";
  // Whatever the browser handed over, also what it cannot read.
  interface HandedOver {
    path: string;
    state: UploadState;
    message: string;
  }
  interface UploadItem extends HandedOver {
    // The whole key below the group's folder.
    id: string;
    file: File;
    // Ends with a slash.
    folder: string;
    canRetry: boolean;
    stop?: AbortController;
    started?: StartedFile | null;
    // Bytes.
    sent?: number;
    restarts?: number;
    // The ETag of the object that the person agreed to replace.
    replaces?: string;
    existing?: ExistingFile;
    proof?: UploadProof | null;
    isSignedOut?: boolean;
    // What listeners were last told of it.
    lastState?: UploadState;
    lastMessage?: string;
  }
  // What the control plane has begun.
  type BegunItem = UploadItem & { started: StartedFile; stop: AbortController };
  // What sending needs of one.
  type SendableItem = Pick<UploadItem, "file" | "replaces"> & { started: StartedFile };
  interface UploadProof {
    checksum: string;
    md5?: string;
    etag: string;
  }
  // What was sent of a file: at once, or in parts.
  type SentBytes = { crc: number; md5: string; etag: string; parts?: undefined } | { crc: number; parts: SentPart[] };
  interface SendOptions {
    signal: AbortSignal;
    // What is waited for, in words; empty when nothing is.
    watch: (message: string) => void;
    // Bytes that S3 has.
    onProgress: (bytes: number) => void;
    // It has all the slots that it wants: another file may want some.
    onTaken: () => void;
  }
  interface Care {
    watch?: (message: string) => void;
    signal?: AbortSignal;
    renew?: () => void;
    onSlow?: () => void;
    checkFile?: () => Promise<void>;
    // Whether the same is to be tried elsewhere at once, with nothing counted.
    goesElsewhere?: (error: any) => boolean;
    conflicts?: boolean;
  }
  interface ChecksumAnswer {
    crc: number;
    md5: string;
    bytes: ArrayBuffer | null;
  }
  interface UploadAccount {
    added: number;
    sent: number;
    skipped: number;
    refused: HandedOver[];
    unreadable: HandedOver[];
    asking: number;
    going: number;
    chosen: number;
  }

  // --- Files
  type FilesServer = Pick<Server, keyof Server>;
  type FileStore = Pick<ListingStore, keyof ListingStore>;
  type FileListing = Pick<Loading, keyof Loading>;
  type FileSource = ReturnType<typeof sourceOf>;
  interface FilesSettings {
    session: string;
    delete: string;
    restore: string;
    one: string;
    token: string;
    bucket: string;
    prefix: string;
    root: string;
    name: string;
    writable: boolean;
    cleanable: string[];
    hidden: { names: string[]; within: string[] };
    most_keys: number;
    most_single: number;
    most_first_bytes: number;
  }
  type SortColumn = "name" | "size" | "date";
  interface FilesState {
    // Relative to the folder on show; ends with a slash, or is empty.
    path: string;
    query: string;
    isDeep: boolean;
    by: SortColumn;
    down: boolean;
    // From 0.
    page: number;
  }
  interface FolderRow {
    name: string;
    isFolder: true;
    isMarker: false;
    size?: undefined;
    time?: undefined;
  }
  interface FileRow {
    name: string;
    size: number;
    // Milliseconds since 1970.
    time: number;
    isFolder: false;
    isMarker: boolean;
  }
  type Row = FolderRow | FileRow;
  interface ListingView {
    folders: string[];
    // Numbers of files in the store.
    files: Uint32Array;
    length: number;
    choosable: number;
  }
  type ListingState = "loading" | "offline" | "done" | "stopped" | "full" | "failed";
  interface FilesParts {
    all: HTMLElement;
    again: HTMLButtonElement;
    back: HTMLButtonElement;
    below: HTMLInputElement;
    chosen: HTMLElement;
    "chosen-count": HTMLElement;
    count: HTMLElement;
    delete: HTMLButtonElement;
    "delete-why": HTMLElement;
    empty: HTMLElement;
    failed: HTMLElement;
    first: HTMLButtonElement;
    last: HTMLButtonElement;
    none: HTMLElement;
    "none-below": HTMLButtonElement;
    "none-text": HTMLElement;
    notice: HTMLElement;
    of: HTMLElement;
    on: HTMLButtonElement;
    order: HTMLSelectElement;
    page: HTMLInputElement;
    pages: HTMLElement;
    path: HTMLElement;
    reason: HTMLElement;
    reload: HTMLButtonElement;
    rows: HTMLTableSectionElement;
    said: HTMLElement;
    search: HTMLInputElement;
    "search-form": HTMLFormElement;
    skeleton: HTMLElement;
    stop: HTMLButtonElement;
    table: HTMLTableElement;
    tick: HTMLInputElement;
    "tick-all": HTMLButtonElement;
    "tick-none": HTMLButtonElement;
    undo: HTMLElement;
    uri: HTMLElement;
    zip: HTMLFormElement;
    "zip-all": HTMLButtonElement;
    "zip-chosen": HTMLButtonElement;
    "zip-keys": HTMLInputElement;
    "zip-path": HTMLInputElement;
  }
  type FilesPart = <K extends keyof FilesParts>(name: K) => FilesParts[K];

  // --- What the pages tell each other, and libraries tell them.
  interface DocumentEventMap {
    "cohort:path": CustomEvent<{ path: string }>;
    "cohort:uploaded": CustomEvent<{ keys: string[] }>;
    "cohort:job-changed": CustomEvent;
    "allauth.error": CustomEvent<{ exception?: Error }>;
    "htmx:configRequest": CustomEvent<{ parameters: Record<string, string> }>;
    "htmx:responseError": CustomEvent<{ xhr: XMLHttpRequest }>;
  }
  interface HTMLElementEventMap {
    "htmx:responseError": CustomEvent<{ xhr: XMLHttpRequest }>;
    "htmx:beforeSwap": CustomEvent<{ xhr: XMLHttpRequest; shouldSwap: boolean }>;
  }
}
