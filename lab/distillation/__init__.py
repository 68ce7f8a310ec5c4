"""Distillation: a small ModernBERT learns teachers' vectors, with pairs of query and text.

teacher           a BERT whose vectors are learnt, token by token
teachers          several teachers, each with its weight
teacher_outputs   one teacher's vectors of a batch
long_texts        long texts, of which the teacher reads a window at a time
needles           passages, to be told from the same with one word changed
losses            distances to the teachers, and contrast between pairs
all_gather        the vectors of a batch that several processes share
distill           the run: resumable, in one process or several; `distill_config`

joint             the geometry of several encoders together, for a model that keeps its abilities
joint_targets     several encoders as one geometry; `joint_text` has them encode a corpus
onnx_teacher      an encoder of which only an ONNX graph exists, as a teacher

statements        statements that differ in a word or two, inserted into other texts
hidden_states     the trunk's hidden vectors of texts, kept on disk
token_head        further training of the token head, on a frozen trunk; `token_head_reading`
query_weights     the weight of a token in a query
"""
