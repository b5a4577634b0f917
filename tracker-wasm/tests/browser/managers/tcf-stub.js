// The stub of a TCF CMP stands first on a page.
import stub from "@iabtechlabtcf/stub";

(stub.default || stub)();
