// Runs the attention kernels of the GPU engine on an emulated card and compares them with a
// reference. HEAD_DIM is defined by ci/attention.sh, which builds this.
#include "card.h"
#include "primitives.h"
#include "reference.h"

#include "common.cu"
#include "forward.cu"
#include "backward.cu"

// attention.rs launches blocks of so many rows.
static_assert(FORWARD_QUERIES == 64, "another block than in attention.rs");
static_assert(DKDV_KEYS == (HEAD_DIM == 32 ? 128 : 64), "another block than in attention.rs");
static_assert(DQ_QUERIES == DKDV_KEYS, "another block than in attention.rs");
static_assert(THREADS == 128, "another number of threads than in attention.rs");

// One token; one more than a block of 64; the same for blocks of 128, and a part of one.
static const size_t TOKENS[] = {1, 65, 130, 200};

// Batch, heads, heads of keys and values, gain of the queries. With a gain of 1 the running
// maximum of a row moves once. With 128, 2^score overflows in f32, also where the maximum
// of the first block is subtracted.
static const Shape SHAPES[] = {
    {1, 0, 4, 2, 1},
    {1, 0, 8, 8, 1},
    {2, 0, 2, 1, 128},
};

// Relative to the root mean square of the exact tensor: the root mean square of the error,
// and its largest value.
struct Errors {
    double typical, largest;
};

// For a gain of 1 and a larger one. With large scores nearly all probabilities are 0 or 1:
// gradients of queries and keys are small then, and what the rounding of `out` adds is not.
struct Result {
    const char* name;
    Errors limit[2];
    Errors worst[2];
};

enum { OUT, LSE, DELTA, DQ, DK, DV };

// The limits are about twice what correct kernels have.
static Result results[] = {
    {"out", {{4e-3, 8e-2}, {1.3e-3, 3e-2}}, {}},
    {"lse", {{3e-7, 9e-7}, {3e-7, 9e-7}}, {}},
    {"delta", {{4e-3, 3e-2}, {1.3e-3, 1.4e-2}}, {}},
    {"dq", {{6e-3, 1.6e-1}, {1.8e-2, 4.5e-1}}, {}},
    {"dk", {{6e-3, 1.6e-1}, {1.8e-2, 3.6e-1}}, {}},
    {"dv", {{5e-3, 1.2e-1}, {3.5e-3, 4.5e-2}}, {}},
};

static bool failed;

// An array between two guards. All of it is NaN until it is written, so that elements that
// no thread writes, and reads past the ends, show in the result.
template <class T>
struct Guarded {
    // As many elements as the rows of the largest block have, of the widest shape.
    static const size_t GUARD = 128 * 24 * HEAD_DIM;
    std::vector<T> memory;
    size_t size;

    explicit Guarded(size_t size) : memory(size + 2 * GUARD), size(size) {
        memset(memory.data(), 0xff, memory.size() * sizeof(T));
    }

    T* data() { return memory.data() + GUARD; }

    bool intact() const {
        const unsigned char* bytes = (const unsigned char*)memory.data();
        size_t end = memory.size() * sizeof(T), guard = GUARD * sizeof(T);
        bool same = true;
        for (size_t i = 0; i < guard; ++i) same &= bytes[i] == 0xff && bytes[end - 1 - i] == 0xff;
        return same;
    }
};

static double number(float x) { return x; }
static double number(bf16_bits x) { return __uint_as_float((unsigned)x << 16); }

template <class T>
static std::vector<double> numbers(Guarded<T>& of) {
    std::vector<double> all(of.size);
    for (size_t i = 0; i < of.size; ++i) all[i] = number(of.data()[i]);
    return all;
}

// About normal, with a standard deviation of 1: the sum of six uniform numbers (xorshift).
static float random_normal() {
    static uint64_t state = 88172645463325252u;
    float sum = 0;
    for (int i = 0; i < 6; ++i) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        sum += (state >> 40) / 16777216.0f - 0.5f;
    }
    return sum * 1.41421356f;
}

struct Tensors {
    Guarded<bf16_bits> qkv, out, dout, dqkv;
    Guarded<float> lse, delta;

    explicit Tensors(const Shape& of)
        : qkv(of.rows() * of.width()),
          out(of.rows() * of.out_width()),
          dout(out.size),
          dqkv(qkv.size),
          lse(of.rows() * of.heads),
          delta(lse.size) {
        for (size_t i = 0; i < qkv.size; ++i) {
            float gain = i % of.width() < of.out_width() ? of.query_gain : 1;
            qkv.data()[i] = card::round_bf16(random_normal() * gain);
        }
        for (size_t i = 0; i < dout.size; ++i) dout.data()[i] = card::round_bf16(random_normal());
    }

    bool intact() const {
        return qkv.intact() && out.intact() && dout.intact() && dqkv.intact() && lse.intact() &&
               delta.intact();
    }
};

// The launches of attention.rs.
static void run_kernels(Tensors& t, const Shape& of) {
    auto blocks = [](size_t all, size_t block) { return (all + block - 1) / block; };
    const bf16_bits *qkv = t.qkv.data(), *dout = t.dout.data();
    bf16_bits *out = t.out.data(), *dqkv = t.dqkv.data();
    float *lse = t.lse.data(), *delta = t.delta.data();
    unsigned batch = of.batch, tokens = of.tokens, heads = of.heads, kv_heads = of.kv_heads;
    float scale = of.scale();

    card::launch(blocks(tokens, FORWARD_QUERIES) * batch * heads, THREADS, [=] {
        attention_forward(qkv, out, lse, batch, tokens, heads, kv_heads, scale);
    });
    card::launch(blocks(t.out.size / 8, 256), 256, [=] {
        attention_delta(dout, out, delta, batch, tokens, heads);
    });
    card::launch(blocks(tokens, DKDV_KEYS) * batch * kv_heads, THREADS, [=] {
        attention_backward_dkdv(qkv, dout, lse, delta, dqkv, batch, tokens, heads, kv_heads, scale);
    });
    card::launch(blocks(tokens, DQ_QUERIES) * batch * heads, THREADS, [=] {
        attention_backward_dq(qkv, dout, lse, delta, dqkv, batch, tokens, heads, kv_heads, scale);
    });
}

// Errors of the columns [from, to) of rows of `width`.
static Errors errors(const std::vector<double>& got, const std::vector<double>& want,
                     size_t width = 1, size_t from = 0, size_t to = 1) {
    double squares = 0, exact_squares = 0, largest = 0;
    size_t count = 0;
    for (size_t i = 0; i < want.size(); ++i) {
        if (i % width < from || i % width >= to) continue;
        double error = fabs(got[i] - want[i]);
        squares += error * error;
        exact_squares += want[i] * want[i];
        if (error > largest || std::isnan(error)) largest = error;  // NaN stays
        ++count;
    }
    double unit = sqrt(exact_squares / count);
    // The gradient of the query of a first token is 0.
    if (unit < 1e-10) unit = 1;
    return {sqrt(squares / count) / unit, largest / unit};
}

static void describe(const Shape& of) {
    printf("head dimension %d, batch %zu, %zu tokens, heads %zu/%zu, gain %g, copies land %s: ",
           HEAD_DIM, of.batch, of.tokens, of.heads, of.kv_heads, of.query_gain,
           card::copies_land_late ? "late" : "at once");
}

static void judge(Result& result, const Errors& found, const Shape& of) {
    bool large_scores = of.query_gain > 1;
    const Errors& limit = result.limit[large_scores];
    Errors& worst = result.worst[large_scores];
    worst.typical = std::max(worst.typical, found.typical);
    worst.largest = std::max(worst.largest, found.largest);
    // NaN is within no limit.
    if (found.typical <= limit.typical && found.largest <= limit.largest) return;
    failed = true;
    describe(of);
    printf("FAILED: %s differs by %.1e, at most %.1e; limits %.1e, %.1e\n", result.name,
           found.typical, found.largest, limit.typical, limit.largest);
}

static void compare(Tensors& t, const Reference& exact) {
    const Shape& of = exact.shape;
    std::vector<double> dqkv = numbers(t.dqkv);
    size_t width = of.width(), keys = of.out_width(), values = keys + of.kv_heads * HEAD_DIM;
    judge(results[OUT], errors(numbers(t.out), exact.out), of);
    judge(results[LSE], errors(numbers(t.lse), exact.lse), of);
    judge(results[DELTA], errors(numbers(t.delta), exact.delta), of);
    judge(results[DQ], errors(dqkv, exact.dqkv, width, 0, keys), of);
    judge(results[DK], errors(dqkv, exact.dqkv, width, keys, values), of);
    judge(results[DV], errors(dqkv, exact.dqkv, width, values, width), of);
    if (!t.intact()) {
        failed = true;
        describe(of);
        printf("FAILED: memory outside of a tensor was written\n");
    }
}

static void check(const Shape& shape) {
    const Tensors given(shape);
    Tensors first = given;
    Reference exact(shape, numbers(first.qkv), numbers(first.dout));
    for (bool late : {false, true}) {
        card::copies_land_late = late;
        Tensors tensors = given;
        run_kernels(tensors, shape);
        compare(tensors, exact);
    }
}

int main() {
    for (Shape shape : SHAPES)
        for (size_t tokens : TOKENS) {
            shape.tokens = tokens;
            check(shape);
        }
    for (bool large_scores : {false, true}) {
        printf("head dimension %d, %s scores, errors typical/largest:", HEAD_DIM,
               large_scores ? "large" : "small");
        for (const Result& result : results) {
            const Errors& worst = result.worst[large_scores];
            printf(" %s %.1e/%.1e", result.name, worst.typical, worst.largest);
        }
        printf("\n");
    }
    if (card::bank_conflicts) {
        failed = true;
        printf("FAILED: rows of a matrix lie in the same banks: %lu pairs\n", card::bank_conflicts);
    }
    return failed;
}
