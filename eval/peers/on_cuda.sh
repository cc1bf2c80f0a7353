#!/bin/sh
# What only a CUDA device can say: the tests that need one, a fine-tuning, and the peers' figures. From the top of
# a checkout with textrip, its extras and pytest installed: sh eval/peers/on_cuda.sh DATA [RESULTS], where DATA
# holds scifact/ and passages/. Each step runs whatever became of the one before; the last line says which failed.
set -u
DATA=$1
RESULTS=${2:-eval/peers/results}
FAILED=
peers() {
    name=$1
    shift
    python -m textrip.eval.peers "$@" --json "$RESULTS/$name-cuda.json" || FAILED="$FAILED $name"
}

python -m pytest -q -m gpu tests || FAILED="$FAILED tests"
for precision in float32 bf16; do
    peers "training-minilm-$precision" training --device cuda --precision $precision --batch-queries 64 --steps 20
done
for model in random-bert-base random-modernbert-base; do
    peers "training-$model" training --device cuda --precision bf16 --model $model --negatives 8 --batch-queries 64 \
        --steps 20 --max-length-tokens 256
done
peers encoding encoding --device cuda --data "$DATA/passages" --documents 50000 --quality "$DATA/scifact"
peers mining mining --data "$DATA/passages" --queries 10000 --sample 5
python -m textrip fit "$DATA/scifact" -o scifact-cuda --epochs 3 --device cuda --force || FAILED="$FAILED fit"
echo "failed:${FAILED:- nothing}"
