// Lists of the HTTP API that are longer than one response.
import { requestJson } from "./api.js";

const MAX_ITEMS = 200; // in one response

/**
 * Request the newest items of a list.
 * @param {string} path - relative to the page
 * @param {number} limit - number of items
 * @returns {Promise<{items: object[], total: number}>} the last response, with the items of all
 * @throws {ApiError}
 */
export async function requestNewest(path, limit) {
  const items = new Map(); // an item that is added meanwhile moves others to the next response
  let page;
  let offset = 0;
  do {
    const size = Math.min(MAX_ITEMS, limit - offset);
    page = await requestJson(`${path}?limit=${size}&offset=${offset}`);
    for (const item of page.items) items.set(item.id, item);
    offset += page.items.length;
  } while (page.items.length && offset < Math.min(limit, page.total));
  return { ...page, items: [...items.values()] };
}

/**
 * Return how much longer the pause between requests of a list is than that of a short list.
 * @param {number} count - number of items
 * @returns {number} 1 or more
 */
export const pauseFactor = (count) => Math.max(1, Math.ceil(count / MAX_ITEMS));
