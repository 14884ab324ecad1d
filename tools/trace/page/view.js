/* The part of first … last that is shown, begin … end in ns, over `width` px. Movements glide, as far as
 * the reader's system allows. */

const SHORTEST = 20; /* ns that a view shows at least */
const GLIDE = 55;    /* ms in which a movement comes closer by the factor e */

class View {
  constructor(first, last) {
    this.first = first;
    this.last = last;
    this.width = 1;
    this.smooth = !matchMedia("(prefers-reduced-motion: reduce)").matches;
    [this.begin, this.end] = [this.wantedBegin, this.wantedEnd] = this.whole;
  }

  get nsPerPx() {
    return (this.end - this.begin) / this.width;
  }

  x(time) {
    return ((time - this.begin) / (this.end - this.begin)) * this.width;
  }

  time(x) {
    return this.begin + (x / this.width) * (this.end - this.begin);
  }

  /* All of it, with a little room at both ends. */
  get whole() {
    const room = (this.last - this.first) * 0.01;
    return [this.first - room, this.last + room];
  }

  #within(begin, end) {
    const [first, last] = this.whole, least = Math.min(SHORTEST, last - first);
    const length = Math.min(Math.max(end - begin, least), last - first);
    const middle = (begin + end) / 2;
    const from = Math.min(Math.max(middle - length / 2, first), last - length);
    return [from, from + length];
  }

  /* Shows begin … end; at once, or gliding. */
  show(begin, end, glide = true) {
    [this.wantedBegin, this.wantedEnd] = this.#within(begin, end);
    if (!glide || !this.smooth)
      [this.begin, this.end] = [this.wantedBegin, this.wantedEnd];
    this.onchange();
  }

  showAll() {
    this.show(...this.whole);
  }

  /* Makes what is shown `factor` times as long, with the time at `x` staying where it is. */
  zoom(factor, x, glide = true) {
    const [first, last] = this.whole, length = this.wantedEnd - this.wantedBegin;
    const wanted = Math.min(Math.max(length * factor, Math.min(SHORTEST, last - first)), last - first);
    const share = x / this.width, fixed = this.wantedBegin + share * length;
    this.show(fixed - share * wanted, fixed + (1 - share) * wanted, glide);
  }

  pan(px, glide = true) {
    const by = px * ((this.wantedEnd - this.wantedBegin) / this.width);
    this.show(this.wantedBegin + by, this.wantedEnd + by, glide);
  }

  /* One frame further; true while there is more to come. */
  step(ms) {
    const share = 1 - Math.exp(-ms / GLIDE), length = this.end - this.begin;
    const left = Math.max(Math.abs(this.wantedBegin - this.begin), Math.abs(this.wantedEnd - this.end));
    if (left === 0)
      return false;
    if (left < length * 2e-4) {
      [this.begin, this.end] = [this.wantedBegin, this.wantedEnd];
      return true;
    }
    this.begin += (this.wantedBegin - this.begin) * share;
    this.end += (this.wantedEnd - this.end) * share;
    return true;
  }

  onchange() {}
}
