/* One entropy decode of a JPEG for all that is done with it: the reduced picture, the blackened file, the comparison.
 *
 * libjpeg-turbo's buffered-image mode (libjpeg.txt, "Buffered-image mode") keeps the whole picture's quantised DCT coefficients, gives
 * pixels from them, and lets jpeg_read_coefficients hand them out (jdtrans.c). coefficients.py is the only caller, through ctypes; it says
 * what each call means. No call reads the JPEG after `decode`. Calls on one object come one after another; objects share nothing.
 *
 * Every call that may fail returns 0 when all went well. Otherwise `trouble` has the sentence, which quotes numbers, never text of the
 * file, and the object only gives further trouble.
 */
#include <math.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

#include <jerror.h>

enum {
    MOST_SCANS = 500, /* as TurboJPEG's TJFLAG_LIMITSCANS: an error instead of minutes of work */
    MOST_COMPONENTS = 3,
    END_MARKER = 0xD9,
    LEAST = -1024, /* what baseline has codes for, T.81 tables F.1 and F.2; the least only as DC */
    MOST = 1023,
    MOST_OFF = 16, /* of 255, see settle_edge */
};

typedef struct {
    struct jpeg_error_mgr manager; /* first, so that libjpeg's pointer to it is one to this */
    jmp_buf escape;
    int strict;
    char text[JMSG_LENGTH_MAX];
} Trouble;

typedef struct {
    Trouble trouble;
    struct jpeg_decompress_struct source;
    int decoded;                     /* whether all that follows is there */
    JBLOCKROW *rows[MOST_COMPONENTS]; /* [component][row of blocks] */
} Picture;

typedef struct {
    struct jpeg_destination_mgr manager; /* first */
    uint8_t *data;
    size_t room, size;
} Target;

/* Which MCUs are black, row by row, and for each component the DC of black. */
typedef struct {
    const uint8_t *cells;
    int rows, columns;
    const int16_t *dc;
} Mask;

/* errors */

static void give_up(j_common_ptr info) {
    Trouble *trouble = (Trouble *)info->err;
    info->err->format_message(info, trouble->text);
    longjmp(trouble->escape, 1);
}

/* A warning is damage, except the one that leaves the picture whole: padding between its last MCU and the end marker, which some cameras
 * write. */
static void on_message(j_common_ptr info, int level) {
    int harmless = info->err->msg_code == JWRN_EXTRANEOUS_DATA && info->err->msg_parm.i[1] == END_MARKER;
    if (level < 0 && !(harmless && !((Trouble *)info->err)->strict))
        give_up(info);
}

static void say_nothing(j_common_ptr info) { (void)info; }

static int refuse(Picture *picture, const char *text) {
    picture->decoded = 0;
    snprintf(picture->trouble.text, sizeof picture->trouble.text, "%s", text);
    return -1;
}

static int is_ready(Picture *picture) {
    if (!picture->decoded && !picture->trouble.text[0])
        refuse(picture, "nothing is decoded yet");
    return picture->decoded;
}

/* the picture and its blocks */

static int is_single(const Picture *picture) { return picture->source.num_components == 1; }

/* A single component is stored block by block, whatever its sampling factors say, T.81 A.2.2. */
static int vertical(const Picture *picture, int component) { return is_single(picture) ? 1 : picture->source.comp_info[component].v_samp_factor; }

static int horizontal(const Picture *picture, int component) {
    return is_single(picture) ? 1 : picture->source.comp_info[component].h_samp_factor;
}

static JDIMENSION block_rows(const Picture *picture, int component) { return picture->source.comp_info[component].height_in_blocks; }

static JDIMENSION blocks_a_row(const Picture *picture, int component) { return picture->source.comp_info[component].width_in_blocks; }

static JDIMENSION parts(JDIMENSION whole, int size) { return (whole + size - 1) / size; }

/* libjpeg-turbo has one memory manager, which keeps a virtual array in memory as a whole or fails (jmemnobs.c): what it once handed out
 * stays in place. */
static int find_rows(Picture *picture) {
    struct jpeg_decompress_struct *source = &picture->source;
    jvirt_barray_ptr *arrays = jpeg_read_coefficients(source);
    for (int component = 0; component < source->num_components; component++) {
        JDIMENSION count = block_rows(picture, component);
        picture->rows[component] = malloc(count * sizeof(JBLOCKROW));
        if (!picture->rows[component])
            return -1;
        for (JDIMENSION row = 0; row < count; row++)
            picture->rows[component][row] = source->mem->access_virt_barray((j_common_ptr)source, arrays[component], row, 1, FALSE)[0];
    }
    return 0;
}

/* Whether a coefficient is beyond what baseline has a code for: libjpeg-turbo's fast encoder does not look and would write nonsense. */
static int is_wild(const Picture *picture) {
    for (int component = 0; component < picture->source.num_components; component++)
        for (JDIMENSION row = 0; row < block_rows(picture, component); row++) {
            const JCOEF *value = picture->rows[component][row][0];
            size_t count = (size_t)blocks_a_row(picture, component) * DCTSIZE2;
            JCOEF low = 0, high = 0;
            for (size_t i = 0; i < count; i++) {
                low = value[i] < low ? value[i] : low;
                high = value[i] > high ? value[i] : high;
            }
            if (high > MOST || low < LEAST)
                return 1;
            for (size_t i = 0; low == LEAST && i < count; i++)
                if (value[i] == LEAST && i % DCTSIZE2)
                    return 1;
        }
    return 0;
}

/* edges */

/* The DCT's basis, T.81 A.3.3: samples = basis^T coefficients basis. */
static void make_basis(double basis[DCTSIZE][DCTSIZE]) {
    for (int u = 0; u < DCTSIZE; u++)
        for (int x = 0; x < DCTSIZE; x++)
            basis[u][x] = (u ? 0.5 : sqrt(0.125)) * cos((2 * x + 1) * u * acos(-1.0) / 16);
}

/* to = left^T from right, or left from right^T when `forward` */
static void transform(double to[DCTSIZE2], const double from[DCTSIZE2], double basis[DCTSIZE][DCTSIZE], int forward) {
    double half[DCTSIZE2];
    for (int i = 0; i < DCTSIZE2; i++) {
        half[i] = 0;
        for (int k = 0; k < DCTSIZE; k++)
            half[i] += from[DCTSIZE * (i / DCTSIZE) + k] * (forward ? basis[i % DCTSIZE][k] : basis[k][i % DCTSIZE]);
    }
    for (int i = 0; i < DCTSIZE2; i++) {
        to[i] = 0;
        for (int k = 0; k < DCTSIZE; k++)
            to[i] += half[DCTSIZE * k + i % DCTSIZE] * (forward ? basis[i / DCTSIZE][k] : basis[k][i / DCTSIZE]);
    }
}

/* What a viewer does not show of a block across the picture's edge may be what was cut off there, a name above all. An encoder fills it
 * with the last samples that are shown, and rounding puts them off by a few levels. A block that is further off is filled anew; all
 * others stay as they are, to the bit. rows, columns : of the block that are shown, 1..8 */
static void settle_edge(JCOEF *block, const UINT16 *steps, int rows, int columns, double basis[DCTSIZE][DCTSIZE]) {
    double values[DCTSIZE2], samples[DCTSIZE2], most = 0;
    for (int i = 0; i < DCTSIZE2; i++)
        values[i] = (double)block[i] * steps[i];
    transform(samples, values, basis, 0);
    for (int i = 0; i < DCTSIZE2; i++) { /* what is shown comes before what is hidden, each way */
        int row = i / DCTSIZE < rows ? i / DCTSIZE : rows - 1, column = i % DCTSIZE < columns ? i % DCTSIZE : columns - 1;
        double shown = samples[DCTSIZE * row + column];
        most = fmax(most, fabs(samples[i] - shown));
        samples[i] = shown;
    }
    if (most <= MOST_OFF)
        return;
    transform(values, samples, basis, 1);
    for (int i = 0; i < DCTSIZE2; i++)
        block[i] = (JCOEF)fmin(MOST, fmax(i ? -MOST : LEAST, nearbyint(values[i] / steps[i])));
}

static int shown(JDIMENSION length, int samples, int most, JDIMENSION block) {
    JDIMENSION left = parts(length * (JDIMENSION)samples, most) - block * DCTSIZE;
    return left < DCTSIZE ? (int)left : DCTSIZE;
}

static void settle_edges(Picture *picture) {
    struct jpeg_decompress_struct *source = &picture->source;
    double basis[DCTSIZE][DCTSIZE];
    make_basis(basis);
    for (int component = 0; component < source->num_components; component++) {
        jpeg_component_info *info = &source->comp_info[component];
        JDIMENSION last_row = block_rows(picture, component) - 1, last_column = blocks_a_row(picture, component) - 1;
        int high = is_single(picture) ? 1 : source->max_v_samp_factor, wide = is_single(picture) ? 1 : source->max_h_samp_factor;
        int rows = shown(source->image_height, vertical(picture, component), high, last_row);
        int columns = shown(source->image_width, horizontal(picture, component), wide, last_column);
        for (JDIMENSION column = 0; rows < DCTSIZE && column < last_column; column++)
            settle_edge(picture->rows[component][last_row][column], info->quant_table->quantval, rows, DCTSIZE, basis);
        for (JDIMENSION row = 0; columns < DCTSIZE && row < last_row; row++)
            settle_edge(picture->rows[component][row][last_column], info->quant_table->quantval, DCTSIZE, columns, basis);
        if (rows < DCTSIZE || columns < DCTSIZE)
            settle_edge(picture->rows[component][last_row][last_column], info->quant_table->quantval, rows, columns, basis);
    }
}

Picture *picture_new(void) {
    Picture *picture = calloc(1, sizeof(Picture));
    if (!picture)
        return NULL;
    picture->source.err = jpeg_std_error(&picture->trouble.manager);
    picture->trouble.manager.error_exit = give_up;
    picture->trouble.manager.emit_message = on_message;
    picture->trouble.manager.output_message = say_nothing;
    return picture;
}

void picture_free(Picture *picture) {
    if (picture->source.mem)
        jpeg_destroy_decompress(&picture->source);
    for (int component = 0; component < MOST_COMPONENTS; component++)
        free(picture->rows[component]);
    free(picture);
}

const char *picture_trouble(const Picture *picture) { return picture->trouble.text; }

const char *library_version(void) {
#define TEXT_OF(number) #number
#define TEXT(number) TEXT_OF(number)
    return TEXT(LIBJPEG_TURBO_VERSION);
}

int picture_decode(Picture *picture, const uint8_t *data, size_t size, int num, int strict) {
    struct jpeg_decompress_struct *source = &picture->source;
    if (source->mem || picture->trouble.text[0])
        return refuse(picture, "an object decodes once");
    if (num < 2 || num > 16) /* at 1/8 libjpeg leaves out the AC coefficients, jdhuff.c */
        return refuse(picture, "the scale must be from 2/8 to 16/8");
    picture->trouble.strict = strict;
    if (setjmp(picture->trouble.escape))
        return -1;
    jpeg_create_decompress(source);
    jpeg_mem_src(source, data, size);
    jpeg_read_header(source, TRUE);
    if (source->num_components != 1 && source->num_components != MOST_COMPONENTS)
        return refuse(picture, "the JPEG has neither one nor three components");
    source->buffered_image = TRUE;
    source->out_color_space = JCS_RGB;
    source->scale_num = num;
    source->scale_denom = 8;
    /* a progressive file without its last scans is shown as it is written again, not smoothed from one MCU to the next */
    source->do_block_smoothing = FALSE;
    jpeg_start_decompress(source);
    while (jpeg_consume_input(source) != JPEG_REACHED_EOI)
        if (source->input_scan_number > MOST_SCANS)
            return refuse(picture, "Progressive JPEG image has more than 500 scans");
    if (find_rows(picture))
        return refuse(picture, "Insufficient memory");
    if (is_wild(picture))
        return refuse(picture, "a DCT coefficient is beyond what 8-bit pictures can have");
    if (!strict)
        settle_edges(picture);
    picture->decoded = 1;
    return 0;
}

int picture_read(Picture *picture, uint8_t *out, ptrdiff_t stride, unsigned height, unsigned width) {
    struct jpeg_decompress_struct *source = &picture->source;
    if (!is_ready(picture))
        return -1;
    if (source->output_height != height || source->output_width != width)
        return refuse(picture, "the picture has another size than the array");
    if (setjmp(picture->trouble.escape)) {
        picture->decoded = 0;
        return -1;
    }
    jpeg_start_output(source, source->input_scan_number);
    while (source->output_scanline < height) {
        JSAMPROW row = out + stride * (ptrdiff_t)source->output_scanline;
        jpeg_read_scanlines(source, &row, 1);
    }
    jpeg_finish_output(source);
    return 0;
}

/* masking */

static int fits(const Picture *picture, const Mask *mask) {
    for (int component = 0; component < picture->source.num_components; component++)
        if (parts(block_rows(picture, component), vertical(picture, component)) != (JDIMENSION)mask->rows ||
            parts(blocks_a_row(picture, component), horizontal(picture, component)) != (JDIMENSION)mask->columns)
            return 0;
    return 1;
}

static const uint8_t *cells_of(const Picture *picture, const Mask *mask, int component, JDIMENSION row) {
    return mask->cells + (size_t)(row / vertical(picture, component)) * mask->columns;
}

/* Exchanges the covered blocks with those in `other`, which has as many; with NULL it only counts them. */
static size_t exchange(Picture *picture, const Mask *mask, JBLOCK *other) {
    size_t count = 0;
    for (int component = 0; component < picture->source.num_components; component++)
        for (JDIMENSION row = 0; row < block_rows(picture, component); row++) {
            const uint8_t *cells = cells_of(picture, mask, component, row);
            for (JDIMENSION column = 0; column < blocks_a_row(picture, component); column++) {
                if (!cells[column / horizontal(picture, component)])
                    continue;
                if (other) {
                    JBLOCK kept;
                    memcpy(kept, picture->rows[component][row][column], sizeof kept);
                    memcpy(picture->rows[component][row][column], other[count], sizeof kept);
                    memcpy(other[count], kept, sizeof kept);
                }
                count++;
            }
        }
    return count;
}

/* As many black blocks as are covered, in the order of `exchange`. */
static JBLOCK *black_blocks(const Picture *picture, const Mask *mask, size_t count) {
    JBLOCK *blocks = calloc(count + 1, sizeof(JBLOCK)), *block = blocks;
    for (int component = 0; blocks && component < picture->source.num_components; component++)
        for (JDIMENSION row = 0; row < block_rows(picture, component); row++) {
            const uint8_t *cells = cells_of(picture, mask, component, row);
            for (JDIMENSION column = 0; column < blocks_a_row(picture, component); column++)
                if (cells[column / horizontal(picture, component)])
                    (*block++)[0] = mask->dc[component];
        }
    return blocks;
}

/* encoding */

static void begin(j_compress_ptr info) {
    Target *target = (Target *)info->dest;
    target->manager.next_output_byte = target->data;
    target->manager.free_in_buffer = target->room;
}

static boolean enlarge(j_compress_ptr info) {
    Target *target = (Target *)info->dest;
    uint8_t *larger = realloc(target->data, 2 * target->room);
    if (!larger)
        ERREXIT1(info, JERR_OUT_OF_MEMORY, 0);
    target->data = larger;
    target->manager.next_output_byte = larger + target->room;
    target->manager.free_in_buffer = target->room;
    target->room *= 2;
    return TRUE;
}

static void end(j_compress_ptr info) {
    Target *target = (Target *)info->dest;
    target->size = target->room - target->manager.free_in_buffer;
}

/* The coefficients as they are now: baseline, standard tables, no markers but those that decoding needs. */
static int encode(Picture *picture, Target *target) {
    struct jpeg_compress_struct info = {.err = &picture->trouble.manager};
    if (setjmp(picture->trouble.escape)) {
        jpeg_destroy_compress(&info);
        return -1;
    }
    jpeg_create_compress(&info);
    info.dest = &target->manager;
    jpeg_copy_critical_parameters(&picture->source, &info);
#if JPEG_LIB_VERSION >= 70 /* it also copied the size of the reduced picture */
    info.jpeg_width = info.image_width;
    info.jpeg_height = info.image_height;
    info.min_DCT_h_scaled_size = info.min_DCT_v_scaled_size = DCTSIZE;
#endif
    if (is_single(picture)) /* they mean nothing, and TurboJPEG writes it so too */
        info.comp_info[0].h_samp_factor = info.comp_info[0].v_samp_factor = 1;
    jpeg_write_coefficients(&info, jpeg_read_coefficients(&picture->source));
    jpeg_finish_compress(&info);
    jpeg_destroy_compress(&info);
    return 0;
}

int picture_write(Picture *picture, const uint8_t *cells, int rows, int columns, const int16_t *dc, size_t room, uint8_t **out, size_t *size) {
    Mask mask = {cells, rows, columns, dc};
    Target target = {.manager = {.init_destination = begin, .empty_output_buffer = enlarge, .term_destination = end}, .room = room + 4096};
    if (!is_ready(picture))
        return -1;
    if (!fits(picture, &mask))
        return refuse(picture, "the JPEG's MCUs are counted in two ways by two parsers");
    JBLOCK *other = black_blocks(picture, &mask, exchange(picture, &mask, NULL));
    target.data = malloc(target.room);
    if (!other || !target.data) {
        free(other);
        free(target.data);
        return refuse(picture, "Insufficient memory");
    }
    exchange(picture, &mask, other);
    int failed = encode(picture, &target);
    exchange(picture, &mask, other);
    free(other);
    if (failed) {
        picture->decoded = 0;
        free(target.data);
        return -1;
    }
    *out = target.data;
    *size = target.size;
    return 0;
}

void bytes_free(uint8_t *data) { free(data); }

/* comparing */

static int is_black(const JCOEF *block, int16_t dc) {
    static const JBLOCK zero;
    return block[0] == dc && !memcmp(block + 1, zero + 1, sizeof zero - sizeof zero[0]);
}

static int is_same_row(const Picture *source, const Picture *finished, const Mask *mask, int component, JDIMENSION row) {
    const uint8_t *cells = cells_of(source, mask, component, row);
    for (JDIMENSION column = 0; column < blocks_a_row(source, component); column++) {
        const JCOEF *block = finished->rows[component][row][column];
        int same = cells[column / horizontal(source, component)] ? is_black(block, mask->dc[component])
                                                                 : !memcmp(block, source->rows[component][row][column], sizeof(JBLOCK));
        if (!same)
            return 0;
    }
    return 1;
}

int picture_compare(Picture *source, Picture *finished, const uint8_t *cells, int rows, int columns, const int16_t *dc, int *component, int *row) {
    Mask mask = {cells, rows, columns, dc};
    if (!is_ready(source))
        return -1;
    if (!is_ready(finished))
        return refuse(source, "the finished picture was not decoded");
    if (source->source.num_components != finished->source.num_components || !fits(source, &mask) || !fits(finished, &mask))
        return refuse(source, "the finished JPEG has other MCUs");
    for (*component = 0; *component < source->source.num_components; ++*component) {
        if (block_rows(source, *component) != block_rows(finished, *component) ||
            blocks_a_row(source, *component) != blocks_a_row(finished, *component))
            return refuse(source, "the finished JPEG has other blocks");
        for (*row = 0; *row < (int)block_rows(source, *component); ++*row)
            if (!is_same_row(source, finished, &mask, *component, *row))
                return 1;
    }
    return 0;
}
