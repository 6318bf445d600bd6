export { type Peers, type Route, route, type Service } from "./service.ts";
